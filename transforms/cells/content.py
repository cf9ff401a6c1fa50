"""Cells of a raw column, read and named by what they contain.

What an encoder sees is the *content*: the text itself, or the bytes of the photo that a path
leads to. Its hash decides whether there is anything new to encode, so it is taken of the
content and never of the path.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import Reject

if TYPE_CHECKING:
    from deepfeast.transforms.features import DeepFeature

FETCHES = 16
"""URLs fetched at a time."""
HASH_BYTES = 16
HASH_TYPE = pa.binary(HASH_BYTES)


@dataclass
class Contents:
    """The contents of a column's cells.

    Attributes
    ----------
    values : list of length n_cells
        A str, the bytes of an image, or a tuple of them; None where the cell is missing
        (null, or blank text) or rejected.
    hashes : list of length n_cells
        16 bytes a cell; None where there is no value.
    rejects : dict of int to Reject
        Cells that could not be read, by position.
    """

    values: list[Any]
    hashes: list[bytes | None]
    rejects: dict[int, Reject]


def read_contents(column: pa.Array | pa.ChunkedArray, modality: str, reader: Any) -> Contents:
    """Read the cells of a column.

    Parameters
    ----------
    column : Array of length n_cells
        Strings for a text encoder. Bytes, paths, ``data:`` URIs, URLs or lists of these
        for an image encoder.
    modality : {"text", "image"}
        What the encoder takes.
    reader : ImageReader
        Turns one image cell into bytes; unused for texts.

    Examples
    --------
    >>> contents = read_contents(pa.array(["red", " ", None]), "text", None)
    >>> contents.values
    ['red', None, None]
    """
    cells = column.to_pylist()
    if modality == "text" and _is_text(column.type):
        values = [cell if cell and not cell.isspace() else None for cell in cells]
        return Contents(values, [value and content_hash(value) for value in values], {})
    contents = Contents([None] * len(cells), [None] * len(cells), {})
    read = functools.partial(_attempt, _text if modality == "text" else reader.read)
    for position, value in enumerate(_each(read, cells, getattr(reader, "allow_hosts", ()))):
        if isinstance(value, Reject):
            contents.rejects[position] = value
        elif value is not None:
            contents.values[position] = value
            contents.hashes[position] = content_hash(value)
    return contents


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_)


def _each(read: Any, cells: list[Any], hosts: Sequence[str]) -> list[Any]:
    """Read the cells in order; those that may have to be fetched, several at a time."""
    if not hosts:
        return [read(cell) for cell in cells]
    with ThreadPoolExecutor(FETCHES, thread_name_prefix="deepfeast-fetch") as pool:
        return list(pool.map(read, cells))


def _attempt(read: Any, cell: Any) -> Any:
    try:
        return _read_cell(cell, read)
    except Reject as reject:
        return reject


def _read_cell(cell: Any, read: Any) -> Any:
    if cell is None:
        return None
    if isinstance(cell, list):
        parts = tuple(read(part) for part in cell if part is not None)
        return parts or None
    return read(cell)


def _text(cell: Any) -> str | None:
    if not isinstance(cell, str):
        raise Reject("not_text", f"expected a text, got {type(cell).__name__}: {str(cell)[:40]!r}")
    return cell if cell.strip() else None


def content_hash(value: str | bytes | tuple[Any, ...]) -> bytes:
    """Hash a content to 16 bytes (BLAKE2b, RFC 7693).

    >>> content_hash("red") == content_hash("red"), content_hash(("red",)) == content_hash("red")
    (True, False)
    """
    if isinstance(value, str):
        # Lone surrogates cannot be stored as UTF-8; they still are a content with a name.
        value = value.encode("utf-8", "surrogatepass")
    elif isinstance(value, tuple):
        value = b"list" + b"".join(content_hash(part) for part in value)
    return hashlib.blake2b(value, digest_size=HASH_BYTES).digest()


def image_reader(feature: DeepFeature, root: str, modality: str) -> Any:
    """Return the reader of a feature's image cells, or None for texts.

    Paths are relative to the feature's own root, or else to `root`.
    """
    if modality == "text":
        return None
    from deepfeast.transforms.cells.reader import ImageReader

    return ImageReader(feature.root or root, allow_hosts=feature.allow_hosts)


def hash_array(hashes: Sequence[bytes | None]) -> pa.FixedSizeBinaryArray:
    """Turn hashes into an Arrow array, null where there is no content."""
    return pa.array(hashes, HASH_TYPE)
