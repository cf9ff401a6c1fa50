"""The ``deepfeast verify`` command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from deepfeast.pipelines.command import AsJson, Repo
from deepfeast.pipelines.terminal import open_repo, print_rows


def verify(
    view: Annotated[str, typer.Argument(help="Name of a feature view, deep or not.")],
    repo: Repo = Path(),
    sample: Annotated[
        int | None, typer.Option(min=1, help="Compare that many keys instead of all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the online store with the latest rows of a view's table; code 1 if they differ.

    Example: deepfeast verify listing_deep --sample 10000 --repo feature_repo
    """
    from deepfeast.pipelines.materialize.verify import verify as compare

    found = compare(open_repo(repo), view, sample=sample)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print(found)
        print_rows(found.rows(20), as_json=False)
    raise typer.Exit(not found.equal)
