"""The ``deepfeast similar``, ``search`` and ``duplicates`` commands."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfeast.pipelines.terminal import log, open_repo, print_rows, say

if TYPE_CHECKING:
    from deepfeast.pipelines.search.answer import Found
    from deepfeast.pipelines.search.groups import Duplicates

View = Annotated[str, typer.Argument(help="Name of a deep feature view.")]
Repo = Annotated[
    Path, typer.Option("--repo", "-c", help="The Feast repo: the folder of feature_store.yaml.")
]
Feature = Annotated[str | None, typer.Option(help="Whose vectors; by default the first that fits.")]
Count = Annotated[int, typer.Option("--count", "-k", min=1, help="How many are shown, at most.")]
Where = Annotated[
    str | None,
    typer.Option(help="Filter on handcrafted columns, as in SQL: 'price < 100 AND n_photos > 2'."),
]
AsOf = Annotated[
    datetime | None, typer.Option(help="Leave out rows with a later event time (UTC).")
]
Out = Annotated[Path | None, typer.Option(help="Write a page with pictures to this file, too.")]
PHOTO = re.compile(r"\S+\.(jpe?g|png|webp|gif|bmp|tiff?|avif|jp2)", re.IGNORECASE)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def similar(
    view: View,
    key: Annotated[str, typer.Argument(help="Of several join keys: city=5,shop=ann.")],
    repo: Repo = Path(),
    feature: Feature = None,
    count: Count = 10,
    where: Where = None,
    as_of: AsOf = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Show the keys whose vectors are nearest to that of a key; all are compared.

    Example: deepfeast similar listing_deep L00042 --feature photo_vec --repo feature_repo
    """
    store = open_repo(repo)
    from deepfeast.pipelines.search import similar as find

    found = find(store, view, key, feature=feature, count=count, where=where, as_of=as_of)
    _show(found, out, as_json)


def search(
    view: View,
    query: Annotated[str, typer.Argument(help="A text, or the path of a photo.")],
    repo: Repo = Path(),
    feature: Feature = None,
    count: Count = 10,
    where: Where = None,
    as_of: AsOf = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Show the keys whose vectors are nearest to a text or a photo; all are compared.

    Example: deepfeast search listing_deep "red sofa" --where "age_years < 5" --repo feature_repo
    """
    store = open_repo(repo)
    from deepfeast.pipelines.search import search as find

    asked = Path(query) if _is_file(query) else query
    found = find(store, view, asked, feature=feature, count=count, where=where, as_of=as_of)
    _show(found, out, as_json)


def duplicates(
    view: View,
    repo: Repo = Path(),
    feature: Annotated[
        str | None, typer.Option(help="Whose vectors; by default the first of the view.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="The cosine of near-copies, at least. Default: the encoder's, or estimated."
        ),
    ] = None,
    count: Annotated[
        int, typer.Option("--count", "-k", min=1, help="How many groups are shown.")
    ] = 10,
    out: Annotated[
        Path | None, typer.Option(help="Write each key's group to this Parquet file.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Folder for a page with pictures: duplicates.html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show near-copies of texts or photos in groups; all pairs are compared.

    Example: deepfeast duplicates listing_deep --page copies --out g.parquet --repo feature_repo
    """
    store = open_repo(repo)
    from deepfeast.pipelines.search import duplicates as find

    found = find(store, view, feature, threshold, count)
    wrote = []
    if out:
        import pyarrow.parquet as pq

        pq.write_table(found.table, out)
        wrote.append(f"groups: {out}")
    if page:
        from deepfeast.pipelines.search.page import render_duplicates

        page.mkdir(parents=True, exist_ok=True)
        (page / "duplicates.html").write_text(render_duplicates(found), encoding="utf-8")
        wrote.append(f"page: {page / 'duplicates.html'}")
    _tell(found, wrote, as_json)


def _is_file(query: str) -> bool:
    """Tell a path from a text: there is such a file, or its name says that it is a photo."""
    try:
        return bool(PHOTO.fullmatch(query)) or Path(query).is_file()
    except (OSError, ValueError):  # too long for a name, or with a null
        return False


def _show(found: Found, out: Path | None, as_json: bool) -> None:
    if out:
        from deepfeast.pipelines.search.page import render

        out.write_text(render(found), encoding="utf-8")
    _tell(found, [f"page: {out}"] if out else [], as_json)


def _tell(found: Found | Duplicates, wrote: list[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    say(str(found))
    print_rows(found.rows(), as_json=False)
    for note in found.notes:
        log.warning(note)
    for one in wrote:
        say(one)
