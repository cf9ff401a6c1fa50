"""The log of a Delta table, kept short: old entries leave it, and what they said stays known.

Delta adds a file for each commit. A checkpoint says which data files there are, so the entries
before it can go; what deepfeast reads in them (who ran, when, with which encoders, and the files
of earlier versions) is kept in one file beside the table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.write import whole

NAME = "history.json"


def read_archive(scratch: Place) -> dict[str, Any]:
    """Return what entries said that left the log.

    Parameters
    ----------
    scratch : Path
        Where the table keeps what is no data.

    Returns
    -------
    dict
        ``commits``, newest first: ``version``, ``timestamp`` in milliseconds, ``meta``. ``files``
        by number of a version: ``path``, ``size`` and ``rows`` each.
    """
    path = scratch / NAME
    if not path.is_file():
        return {"commits": [], "files": {}}
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def write_archive(
    scratch: Place,
    commits: Sequence[Mapping[str, Any]],
    files: Mapping[int, Sequence[Mapping[str, Any]]],
) -> None:
    """Keep what the entries of a log say, as `read_archive` returns it."""
    with whole(scratch / NAME) as path:
        path.write_text(json.dumps({"commits": commits, "files": files}))


def first_entry(table: Place) -> int:
    """Return the first version of a table that its log still tells."""
    return min(
        (number for path, number in _entries(table) if number == 0 or _is_checkpoint(path)),
        default=0,
    )


def covered(table: Place, before: int) -> list[Place]:
    """Return the entries of a log that a checkpoint covers, oldest first.

    Parameters
    ----------
    table : Path
        Folder of the table.
    before : int
        The checkpoint is the last one that is no newer than this version.
    """
    entries = _entries(table)
    base = max((n for path, n in entries if _is_checkpoint(path) and n <= before), default=0)
    return [path for path, number in entries if number < base]


def _entries(table: Place) -> list[tuple[Place, int]]:
    """Return the files of a log that belong to a version, oldest first, each with its version."""
    names: list[Place] = sorted((table / "_delta_log").iterdir())
    return [(path, int(path.name[:20])) for path in names if path.name[:20].isdigit()]


def _is_checkpoint(path: Place) -> bool:
    return path.name.endswith(".checkpoint.parquet")
