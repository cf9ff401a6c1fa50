"""The ``deepfeast explain`` command."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from deepfeast.pipelines.command import AsJson, Repo
from deepfeast.pipelines.terminal import log, open_repo, print_rows, say


def explain(
    view: Annotated[str, typer.Argument(help="Name of a deep feature view.")],
    key: Annotated[str, typer.Argument(help="Of several join keys: city=5,shop=ann.")],
    labels: Annotated[
        Path,
        typer.Option(
            help="Parquet or CSV file: entity keys, event_timestamp and the target.",
            show_default=False,
        ),
    ],
    target: Annotated[str, typer.Option(help="Column to predict.", show_default=False)],
    repo: Repo = Path(),
    feature: Annotated[
        list[str] | None, typer.Option(help="Of these features only; by default of all.")
    ] = None,
    groups: Annotated[
        str | None, typer.Option(help="Column of the labels: what is held out together.")
    ] = None,
    log_target: Annotated[
        bool, typer.Option("--log-target", help="Learn the target's logarithm.")
    ] = False,
    as_of: Annotated[
        datetime | None, typer.Option(help="The key's row of then (UTC); by default its latest.")
    ] = None,
    patches: Annotated[
        int, typer.Option(min=2, help="Patches along the shorter side of a photo.")
    ] = 6,
    count: Annotated[
        int, typer.Option("--count", "-k", min=1, help="How many parts are shown of each feature.")
    ] = 10,
    out: Annotated[
        Path | None, typer.Option(help="Write a page with the texts and photos to this file, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which sentences and which regions of a photo move a prediction, by leaving them out.

    Example: deepfeast explain listing_deep L00042 --labels sales.parquet --target price -c repo
    """
    store = open_repo(repo)
    from deepfeast.pipelines.explain.run import explain as find

    found = find(
        store,
        view,
        key,
        labels,
        target,
        features=feature or (),
        groups=groups,
        log_target=log_target,
        as_of=as_of,
        patches=patches,
    )
    if out:
        from deepfeast.pipelines.explain.page import render_explained

        out.write_text(render_explained(found), encoding="utf-8")
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    say(str(found))
    for response in found.responses:
        say(f"\n{response}")
        print_rows(response.rows(count), as_json=False)
    for note in found.notes:
        log.warning(note)
    if out:
        say(f"page: {out}")
