"""What no version and no reader needs any more: leftovers of runs, replaced files, old entries."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from deepfeast.transforms.embeddings.commit import Commit
from deepfeast.transforms.embeddings.log import covered, first_entry, write_archive
from deepfeast.transforms.embeddings.table import EmbeddingTable
from deepfeast.transforms.embeddings.versions import find_version, version_files
from deepfeast.transforms.errors import TableError
from deepfeast.transforms.files.bucket import Place, size_of

# No reader that opened the table a day ago is still at it.
KEEP = timedelta(hours=24)


@dataclass
class Swept:
    """What was deleted.

    Attributes
    ----------
    leftovers : list of Path or BucketPath
        Files and folders of runs that never published.
    dropped, replaced : list of Path or BucketPath
        Data files of the version that was dropped, and those whose rows others have now.
    entries : list of Path or BucketPath
        Entries of the log that a checkpoint covers.
    waiting : int
        Replaced data files that stay, for readers that have the table open.
    size : int
        Bytes that were freed.
    """

    leftovers: list[Place] = field(default_factory=list)
    dropped: list[Place] = field(default_factory=list)
    replaced: list[Place] = field(default_factory=list)
    entries: list[Place] = field(default_factory=list)
    waiting: int = 0
    size: int = 0

    def __str__(self) -> str:
        """Say it for a terminal.

        >>> print(Swept())
        nothing to delete
        >>> print(Swept(replaced=[Path("a"), Path("b")], waiting=3, size=4096))
        deleted 2 replaced files (4.1 kB); left to those who are reading: 3 replaced files
        """
        told = [
            _counted(len(paths), one, many)
            for paths, one, many in (
                (self.leftovers, "leftover", ""),
                (self.dropped, "file of the version", "files of the version"),
                (self.replaced, "replaced file", ""),
                (self.entries, "entry of the log", "entries of the log"),
            )
            if paths
        ]
        said = f"deleted {', '.join(told)} ({_bytes(self.size)})" if told else "nothing to delete"
        if self.waiting:
            said += f"; left to those who are reading: {_counted(self.waiting, 'replaced file')}"
        return said


def vacuum(table: EmbeddingTable, drop: int | None = None, keep: timedelta = KEEP) -> Swept:
    """Delete what no version needs: files of runs that were never published, and replaced ones.

    Parameters
    ----------
    drop : int, optional
        Also delete this version, for good.
    keep : timedelta
        How long files and entries of the log stay after `compact` replaced them.

    Raises
    ------
    TableError
        If the version to drop is current or not there.
    RunInProgress
        If a run is under way: its files are not published yet.
    """
    with table.held("vacuum"):
        swept = sweep(table, keep, drop)
        sweep_leftovers(table, swept)
    return swept


def sweep_leftovers(table: EmbeddingTable, swept: Swept) -> None:
    """Delete what runs left that never published, for one who holds the table."""
    there = table.open() is not None
    spare = {"_delta_log", table.scratch.name, *(_folders(table.commits()) if there else ())}
    # In a bucket without a table, a run whose lease ran out may still publish: no commit that is
    # there before its own keeps it from that.
    if there or isinstance(table.path, Path):
        swept.leftovers += [path for path in table.path.iterdir() if path.name not in spare]
    swept.leftovers += [*table.scratch.glob("runs/*"), *table.scratch.glob("spill/*")]
    fitted = _fingerprints(table) if there else set()
    states = table.scratch.glob("fitted/*")
    swept.leftovers += [path for path in states if path.stem not in fitted]
    _delete(table, swept.leftovers, swept)


def sweep(table: EmbeddingTable, keep: timedelta, drop: int | None = None) -> Swept:
    """Delete replaced files and old entries of the log, for one who holds the table.

    What killed runs left stays: the next one takes their vectors from it.
    """
    swept = Swept()
    delta = table.open()
    if delta is None:
        return swept
    commits = table.commits(delta)
    files = version_files(table, commits)
    if drop is not None and find_version(table, drop).current:
        raise TableError(f"version {drop} of view {table.view!r} is current; keep it.")
    doomed = {file["path"] for file in files.pop(drop)} if drop is not None else set()
    needed = {file["path"] for version in files.values() for file in version}
    late = [c for c in commits if c.time > datetime.now(timezone.utc) - keep]
    reading = _replaced(table, late)
    folders = [table.path / name for name in _folders(commits)]
    for folder in folders:
        _sort(folder, needed, reading, doomed, swept)
    _delete(table, [*swept.dropped, *swept.replaced], swept)
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    if len(late) < len(commits):
        _shorten(table, commits, commits[len(late)].version, swept)
    return swept


def _fingerprints(table: EmbeddingTable) -> set[str]:
    """Return the encoders of all versions that are there, be it in part: files may be restored."""
    commits = table.commits()
    there = {
        number
        for number, files in version_files(table, commits).items()
        if any((table.path / file["path"]).is_file() for file in files)
    }
    known = [commit.meta for commit in commits if commit.meta["generation"] in there]
    return {fingerprint for meta in known for fingerprint in meta["fingerprints"].values()}


def _folders(commits: Sequence[Commit]) -> set[str]:
    """Return the folders that published commits have written to."""
    return {name for commit in commits for name in (commit.folder, commit.meta["run_id"])}


def _delete(table: EmbeddingTable, paths: Sequence[Place], swept: Swept) -> None:
    for path in paths:
        table.still_held()
        swept.size += size_of(path)
        if isinstance(path, Path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        else:
            path.remove()


def _replaced(table: EmbeddingTable, late: Sequence[Commit]) -> set[str]:
    """Return the files that readers may have open: those that were current just now."""
    first = first_entry(table.path)
    return {
        file["path"]
        for commit in late
        if commit.version > first
        for file in table.files(commit.version - 1)
    }


def _sort(
    folder: Place, needed: set[str], reading: set[str], doomed: set[str], swept: Swept
) -> None:
    """Sort the files of a run that was published."""
    for path in folder.iterdir() if folder.is_dir() else ():
        name = f"{folder.name}/{path.name}"
        if name in needed:
            continue
        if name in doomed:
            swept.dropped.append(path)
        elif name in reading:
            swept.waiting += 1
        else:
            swept.replaced.append(path)


def _shorten(table: EmbeddingTable, commits: list[Commit], before: int, swept: Swept) -> None:
    """Delete entries of the log up to a version, once all that they say is kept elsewhere."""
    if not covered(table.path, before):
        return
    write_archive(
        table.scratch,
        [
            {"version": c.version, "timestamp": int(c.time.timestamp() * 1000), "meta": c.meta}
            for c in commits
        ],
        version_files(table, commits),
    )
    swept.entries += covered(table.path, before)
    for path in swept.entries:
        table.still_held()
        path.unlink()


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _bytes(size: int) -> str:
    """Write a size.

    >>> _bytes(900), _bytes(12_300_000)
    ('900 B', '12.3 MB')
    """
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.{0 if units[0] == 'B' else 1}f} {units[0]}"
