"""The ``deepfeast forget`` command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def forget(
    view: Annotated[str, typer.Argument(help="Name of a deep feature view.")],
    keys: Annotated[
        Path | None,
        typer.Option(help="CSV with the join keys. Without it a call that was killed goes on."),
    ] = None,
    repo: Annotated[
        Path, typer.Option("--repo", "-c", help="The Feast repo: the folder of feature_store.yaml.")
    ] = Path(),
    reports: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of deepfeast lift outside of the repo; lift, where it is."),
    ] = None,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="Also keys that are found nowhere.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Remove keys from all that is kept of a view: every version, rejects, caches, online.

    A certificate says what was removed where, and what remains. Later runs leave these keys out.

    Example: deepfeast forget listing_deep --keys keys.csv --repo feature_repo
    """
    from deepfeast.pipelines.forget.job import forget as forget_keys
    from deepfeast.pipelines.terminal import open_repo, say

    done = forget_keys(
        open_repo(repo),
        view,
        keys,
        reports=reports or [Path("lift")],
        allow_unknown=allow_unknown,
    )
    if as_json:
        print(json.dumps(done.to_dict(), indent=2))
    else:
        say(str(done))
