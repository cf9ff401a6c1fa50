"""The commands that look at an embedding table, and keep it in order."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from deepfeast.pipelines.command import AsJson, Repo
from deepfeast.pipelines.terminal import open_repo, print_rejects, print_rows, say

View = Annotated[str, typer.Argument(help="Name of a deep feature view.")]


def runs(view: View, repo: Repo = Path(), as_json: AsJson = False) -> None:
    """List the runs that were published, newest first.

    Example: deepfeast runs listing_deep --repo feature_repo
    """
    table = _table(repo, view)
    rows = [
        {
            "version": commit.version,
            "time": commit.time.isoformat(timespec="seconds"),
            "kind": commit.kind,
            "run": commit.meta["run_id"],
            # A rollback or a compacting has counted nothing itself.
            **{
                what: n if commit.kind == "run" else None
                for what, n in commit.meta["counts"].items()
            },
        }
        for commit in table.commits()
    ]
    print_rows(rows, as_json)


def rejects(
    view: View,
    repo: Repo = Path(),
    history: Annotated[
        bool, typer.Option("--all", help="Also those that were mended since.")
    ] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of text.")] = False,
) -> None:
    """Show the values that could not be encoded and still are not mended, by reason.

    Example: deepfeast rejects listing_deep --all --repo feature_repo
    """
    from deepfeast.transforms.embeddings.rejects import read_rejects, standing_rejects

    table = _table(repo, view)
    table.must_exist()
    found = (read_rejects if history else standing_rejects)(table)
    print_rejects(view, found, as_json=as_json, as_csv=as_csv)


def versions(view: View, repo: Repo = Path(), as_json: AsJson = False) -> None:
    """List the versions of the embedding table: one for each rebuild.

    Example: deepfeast versions listing_deep --repo feature_repo
    """
    from deepfeast.transforms.embeddings.versions import list_versions

    rows = [
        {
            "version": version.number,
            "current": "yes" if version.current else "",
            "rows": version.rows,
            "from": f"{version.first:%Y-%m-%d %H:%M}",
            "to": f"{version.last:%Y-%m-%d %H:%M}",
            "fingerprints": ", ".join(f"{k} {v[:12]}" for k, v in version.fingerprints.items()),
        }
        for version in list_versions(_table(repo, view))
    ]
    print_rows(rows, as_json)


Number = Annotated[int, typer.Argument(help="Number of a version, from deepfeast versions.")]


def rollback(view: View, version: Number, repo: Repo = Path()) -> None:
    """Make an earlier version of the embedding table current again.

    Example: deepfeast rollback listing_deep 1 --repo feature_repo
    """
    from deepfeast.transforms.embeddings.versions import rollback as roll_back

    roll_back(_table(repo, view), version)
    say(
        f"{view}: version {version} is current. Training reads it from now on; run feast "
        f"materialize to bring it online, and declare its encoder before the next embed."
    )


Hours = Annotated[
    float,
    typer.Option(min=0, help="How long replaced files stay for readers that have them open."),
]


def compact(view: View, repo: Repo = Path(), keep_hours: Hours = 24.0) -> None:
    """Write the small files of many runs into few large ones; no row changes.

    Example: deepfeast compact listing_deep --repo feature_repo
    """
    from deepfeast.transforms.embeddings.compact import compact as compact_table

    done = compact_table(_table(repo, view), timedelta(hours=keep_hours))
    say(f"{view}: {done}")


def vacuum(
    view: View,
    repo: Repo = Path(),
    drop: Annotated[
        int | None,
        typer.Option(help="Also delete this version, for good."),
    ] = None,
    keep_hours: Hours = 24.0,
) -> None:
    """Delete what no version needs: leftovers, replaced files; on request a version.

    Example: deepfeast vacuum listing_deep --drop 1 --repo feature_repo
    """
    from deepfeast.transforms.embeddings.vacuum import vacuum as sweep

    say(f"{view}: {sweep(_table(repo, view), drop, timedelta(hours=keep_hours))}")


def _table(repo: Path, view: str) -> Any:
    """Find the embedding table of a view; without Feast, where the registry is a file."""
    from deepfeast.transforms.embeddings.table import EmbeddingTable, embedding_table
    from deepfeast.transforms.feast_api import read_registry
    from deepfeast.transforms.views import find_deep_view

    registry: Any = read_registry(repo)
    if registry:
        found: Any = find_deep_view(registry, view)[0]
        if "://" not in found.uri:
            return EmbeddingTable(found.uri, view)
    store = open_repo(repo)
    return embedding_table(store, find_deep_view(store, view)[0])
