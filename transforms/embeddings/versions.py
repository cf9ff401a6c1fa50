"""Versions of an embedding table: listed, and made current again.

A version is all the runs between two rebuilds: vectors of one set of encoders. Its data files
stay on disk beside those of the others, so going back is one commit that copies nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.transforms.embeddings.commit import Commit
from deepfeast.transforms.embeddings.log import first_entry, read_archive
from deepfeast.transforms.embeddings.table import EmbeddingTable
from deepfeast.transforms.errors import TableError
from deepfeast.transforms.files.bucket import Place, open_input
from deepfeast.transforms.files.damage import file_faults
from deepfeast.transforms.times import EVENT_TIME


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
    files = version_files(table, commits)
    return [
        Version(
            number,
            found[0].meta["fingerprints"],
            sum(file["rows"] for file in files[number]),
            found[-1].time,
            _runs(found)[0].time,
            number == current,
        )
        for number, found in sorted(groups.items())
        if files[number] and not file_faults(table.path, files[number])
    ]


def version_files(table: EmbeddingTable, commits: list[Commit]) -> dict[int, list[dict[str, Any]]]:
    """Return by number of a version its data files: ``path``, ``size`` and ``rows`` each."""
    newest = {commit.meta["generation"]: commit.version for commit in reversed(commits)}
    first, kept = first_entry(table.path), read_archive(table.scratch)["files"]
    files = {
        number: table.files(version) if version >= first else kept.get(str(number), [])
        for number, version in newest.items()
    }
    for commit in reversed(commits):
        for name, found in commit.files.items():
            # Written anew when it was no longer current, and not made current again since.
            if commit.version > newest[int(name)]:
                files[int(name)] = found
    return files


def _runs(commits: list[Commit]) -> list[Commit]:
    """Leave out commits that added no rows."""
    return [commit for commit in commits if commit.kind == "run"]


def rollback(table: EmbeddingTable, number: int) -> int:
    """Make an earlier version current again; return the Delta table's new version.

    Training reads it at once. The online store has it after the next ``feast materialize``.

    Raises
    ------
    TableError
        If there is no such version, or it is current.
    """
    version = find_version(table, number)
    if version.current:
        raise TableError(f"version {number} of view {table.view!r} is current already.")
    with table.held(f"rollback to version {number}"):
        delta = table.must_exist()
        commits = table.commits(delta)
        newest = next(c for c in commits if c.meta["generation"] == number)
        files = version_files(table, commits)[number]
        schema = file_schema(table.path / files[0]["path"])
        meta = newest.followed_by("rollback", delta.version())
        return table.publish(schema, files, meta, delta.version(), replace=True)


def file_schema(path: Place) -> pa.Schema:
    """Return the schema of a data file as Delta writes it: it knows one name of the zone UTC."""
    with pq.ParquetFile(open_input(path)) as file:
        schema = file.schema_arrow
    fields = [
        field.with_type(EVENT_TIME) if getattr(field.type, "tz", None) else field
        for field in schema
    ]
    return pa.schema(fields)


def find_version(table: EmbeddingTable, number: int) -> Version:
    """Return a version by its number.

    Raises
    ------
    TableError
        If there is none, or its files are gone; it says which there are.
    """
    versions = {version.number: version for version in list_versions(table)}
    if number not in versions:
        known = ", ".join(map(str, versions))
        raise TableError(f"view {table.view!r} has no version {number}. It has: {known}.")
    return versions[number]
