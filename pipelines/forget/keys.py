"""The file of keys that are to be forgotten, read strictly: a mistyped key forgets nobody."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from deepfeast.transforms.embeddings.tombstones import as_text
from deepfeast.transforms.errors import ColumnNotFound, JoinError, SourceNotFound

Key = tuple[str, ...]


def read_keys(path: Path, types: Mapping[str, pa.DataType]) -> dict[Key, int]:
    r"""Read the keys of a CSV.

    Parameters
    ----------
    path : Path
        UTF-8, with a header. Other columns are nobody's business.
    types : mapping of str to DataType
        The join keys, and what they are declared as.

    Returns
    -------
    dict of tuple of str to int
        Each key once, its parts as text and in the order of `types`, with its line in the file.

    Raises
    ------
    SourceNotFound
        If there is no such file.
    ColumnNotFound
        If a join key is no column of it.
    JoinError
        If it is no CSV of UTF-8, has no rows, or a cell is empty or of another type.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "keys.csv"
    >>> _ = path.write_text("id,name\n007,ann\n")
    >>> read_keys(path, {"id": pa.string()}), read_keys(path, {"id": pa.int64()})
    ({('007',): 2}, {('7',): 2})
    """
    if not path.is_file():
        raise SourceNotFound(
            f"there is no file {path}. Give a CSV with columns {', '.join(types)}."
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            for name in types:
                if name not in header:
                    raise ColumnNotFound.of(name, str(path), header)
            places = [header.index(name) for name in types]
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise JoinError(
            f"{path} is not readable as CSV in UTF-8: {error}. Expected a header and a key a line."
        ) from error
    keys: dict[Key, int] = {}
    for line, row in rows:
        parts = [row[place] if place < len(row) else "" for place in places]
        key = tuple(
            _part(part, name, kind, f"{path}, line {line}")
            for part, (name, kind) in zip(parts, types.items(), strict=True)
        )
        keys.setdefault(key, line)
    if not keys:
        raise JoinError(f"{path} has no keys below its header. Give one a line.")
    return keys


def _part(text: str, name: str, kind: pa.DataType, where: str) -> str:
    if not text:
        raise JoinError(f"{where}: no {name!r}. Give every join key, or leave the line out.")
    try:
        return as_text(typed(text, kind))
    except pa.ArrowInvalid:
        raise JoinError(f"{where}: {name!r} is {text!r}, expected {kind}.") from None


def typed(text: str, kind: pa.DataType) -> object:
    """Return a part of a key as the online stores take it.

    >>> typed("7", pa.int64())
    7
    """
    return pa.array([text]).cast(kind)[0].as_py()
