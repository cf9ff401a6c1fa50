"""The ``deepfeast export`` command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from deepfeast.pipelines.command import AsJson, Repo


def export(
    view: Annotated[str, typer.Argument(help="Name of a deep feature view.")],
    to: Annotated[
        str, typer.Option(help="A source of the repo; or schema.table of its PostgreSQL.")
    ],
    repo: Repo = Path(),
    kind: Annotated[
        str | None,
        typer.Option("--as", help="array, which is real[]; or vector, of pgvector."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the vectors of a view into a table of the warehouse; only what is not there yet.

    Example: deepfeast export listing_deep --to public.listing_vectors --as vector --repo shop
    """
    from deepfeast.pipelines.export.run import export as export_rows
    from deepfeast.pipelines.terminal import open_repo, say, shown

    store = open_repo(repo)
    with shown(view, quiet=as_json) as progress:
        done = export_rows(store, view, to, kind=kind, progress=progress)
    if as_json:
        print(json.dumps(done.to_dict(), indent=2))
    else:
        say(str(done))
