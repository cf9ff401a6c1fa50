"""Versions of an embedding table: listed, made current again, dropped; and what is left over.

A version is all the runs between two rebuilds: vectors of one set of encoders. Its data files
stay on disk beside those of the others, so going back is one commit that copies nothing.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from deepfeast.transforms.embeddings.table import META, Commit, EmbeddingTable
from deepfeast.transforms.errors import TableError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Version:
    """One version of an embedding table.

    Attributes
    ----------
    number : int
        Counted from 1.
    fingerprints : dict of str to str
        By feature.
    rows : int
    first, last : datetime
        When its first and its last run were published, in UTC.
    current : bool
        Whether readers get this one.
    """

    number: int
    fingerprints: dict[str, str]
    rows: int
    first: datetime
    last: datetime
    current: bool


def list_versions(table: EmbeddingTable) -> list[Version]:
    """List the versions whose files are there, oldest first."""
    commits = table.commits()
    groups: dict[int, list[Commit]] = {}
    for commit in commits:
        groups.setdefault(commit.meta["generation"], []).append(commit)
    current = commits[0].meta["generation"]
    return [
        Version(
            number,
            found[0].meta["fingerprints"],
            sum(c.meta["counts"]["rows"] for c in _runs(found)),
            found[-1].time,
            _runs(found)[0].time,
            number == current,
        )
        for number, found in sorted(groups.items())
        if all((table.path / c.meta["run_id"]).is_dir() for c in _runs(found))
    ]


def _runs(commits: list[Commit]) -> list[Commit]:
    """Leave out commits that only made a version current again."""
    return [commit for commit in commits if "rollback" not in commit.meta]


def rollback(table: EmbeddingTable, number: int) -> int:
    """Make an earlier version current again; return the Delta table's new version.

    Training reads it at once. The online store has it after the next ``feast materialize``.

    Raises
    ------
    TableError
        If there is no such version, or it is current.
    """
    from deltalake import CommitProperties

    version = _find(table, number)
    if version.current:
        raise TableError(f"version {number} of view {table.view!r} is current already.")
    with table.held(f"rollback to version {number}"):
        delta = table.must_exist()
        newest = next(c for c in table.commits(delta) if c.meta["generation"] == number)
        meta = {**newest.meta, "rollback": delta.version()}
        delta.restore(
            newest.version,
            commit_properties=CommitProperties(
                custom_metadata={META: json.dumps(meta, sort_keys=True)}
            ),
        )
    return table.must_exist().version()


def _find(table: EmbeddingTable, number: int) -> Version:
    versions = {version.number: version for version in list_versions(table)}
    if number not in versions:
        known = ", ".join(map(str, versions))
        raise TableError(f"view {table.view!r} has no version {number}. It has: {known}.")
    return versions[number]


def vacuum(table: EmbeddingTable, drop: int | None = None) -> list[Path]:
    """Delete what no version needs: files of runs that were never published, and their scratch.

    Parameters
    ----------
    drop : int, optional
        Also delete this version, for good.

    Returns
    -------
    list of Path
        What was deleted.

    Raises
    ------
    TableError
        If the version to drop is current or not there.
    RunInProgress
        If a run is under way: its files are not published yet.
    """
    with table.held("vacuum"):
        delta = table.open()
        commits = _runs(table.commits(delta)) if delta else []
        kept = {commit.meta["run_id"] for commit in commits}
        if drop is not None:
            if _find(table, drop).current:
                raise TableError(f"version {drop} of view {table.view!r} is current; keep it.")
            kept -= {c.meta["run_id"] for c in commits if c.meta["generation"] == drop}
        spare = {"_delta_log", table.scratch.name, *kept}
        gone = [path for path in table.path.iterdir() if path.name not in spare]
        gone += [*table.scratch.glob("runs/*"), *table.scratch.glob("spill/*")]
        for path in gone:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return sorted(gone)
