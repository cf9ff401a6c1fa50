"""Cells of a raw column, read and named by what they contain.

What an encoder sees is the *content*: the text itself, or the bytes of the photo that a path
leads to; a `Reader` turns one into the other. The hash of a content decides whether there is
anything new to encode, so it is taken of the content and never of the path.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from deepfeast.transforms.errors import Reject

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
        A str, bytes, or a tuple of them; None where the cell is missing
        (null, or blank text) or rejected.
    hashes : list of length n_cells
        16 bytes a cell; None where there is no value.
    rejects : dict of int to Reject
        Cells that could not be read, by position.
    """

    values: list[Any]
    hashes: list[bytes | None]
    rejects: dict[int, Reject]


class Reader:
    """Turns the cells of a raw column into contents: one class for each kind of content.

    A kind that deepfeast does not know is a subclass, named by its encoder as ``reader``.

    Parameters
    ----------
    root : str
        Folder that paths are relative to.
    allow_hosts : sequence of str
        Hosts that cells may be fetched from.

    Attributes
    ----------
    options : tuple of str
        Which of these a feature may give, e.g. ``("root", "allow_hosts")``.
    several : bool
        Whether a cell may be a list of contents, whose vectors become one.
    window : int
        Rows whose contents a worker holds at a time.
    """

    options: ClassVar[tuple[str, ...]] = ()
    several: ClassVar[bool] = False
    window: ClassVar[int] = 4096

    def __init__(self, root: str | Path = ".", *, allow_hosts: Sequence[str] = ()):
        self.root = Path(root)
        self.allow_hosts = tuple(allow_hosts)

    def read(self, cell: Any) -> Any:
        """Return the content of a cell that is not null: a str or bytes, None where it is empty.

        Raises
        ------
        Reject
            If the cell cannot be read.
        """
        raise NotImplementedError

    @classmethod
    def samples(cls, count: int) -> list[Any]:
        """Make up contents of a usual size, all different, to time an encoder with; or none."""
        return []


class TextReader(Reader):
    """Reads texts; what is blank is missing."""

    def read(self, cell: Any) -> str | None:
        """Return the text of a cell; ``not_text`` where it is none.

        Bytes are a text if they are UTF-8: some that write Parquet do not mark texts as such.
        """
        if isinstance(cell, bytes | bytearray | memoryview):
            try:
                cell = bytes(cell).decode("utf-8")
            except UnicodeDecodeError as error:
                raise Reject("not_text", f"its bytes are no UTF-8: {error}") from None
        if not isinstance(cell, str):
            what = f"expected a text, got {type(cell).__name__}: {str(cell)[:40]!r}"
            raise Reject("not_text", what)
        return cell if cell.strip() else None

    @classmethod
    def samples(cls, count: int) -> list[str]:
        """Make up texts of 40 words and a number."""
        words = ("quiet", "bright", "flat", "near", "river", "rooms", "garden", "kitchen")
        random = np.random.default_rng(0)
        return [" ".join(random.choice(words, 40)) + f" {number}" for number in range(count)]


def read_contents(column: pa.Array | pa.ChunkedArray, reader: Reader) -> Contents:
    """Read the cells of a column.

    Parameters
    ----------
    column : Array of length n_cells
        Strings for texts. Bytes, paths, ``data:`` URIs, URLs or lists of these for photos.
    reader : Reader
        That of the encoder; see `deepfeast.transforms.encoders.column.open_reader`.

    Examples
    --------
    >>> contents = read_contents(pa.array(["red", " ", None]), TextReader())
    >>> contents.values
    ['red', None, None]
    """
    cells = column.to_pylist()
    if isinstance(reader, TextReader) and _is_text(column.type):
        values = [cell if cell and not cell.isspace() else None for cell in cells]
        return Contents(values, [value and content_hash(value) for value in values], {})
    return read_cells(cells, reader)


def read_cells(cells: Sequence[Any], reader: Reader) -> Contents:
    """Read cells one by one: they may be of kinds that no one column can hold.

    >>> contents = read_cells(["red", 5, None], TextReader())
    >>> contents.values, contents.rejects[1].reason
    (['red', None, None], 'not_text')
    """
    contents = Contents([None] * len(cells), [None] * len(cells), {})
    read = functools.partial(_attempt, reader.read)
    for position, value in enumerate(_each(read, cells, reader.allow_hosts)):
        if isinstance(value, Reject):
            contents.rejects[position] = value
        elif value is not None:
            contents.values[position] = value
            contents.hashes[position] = content_hash(value)
    return contents


def _is_text(type_: pa.DataType) -> bool:
    return pa.types.is_string(type_) or pa.types.is_large_string(type_)


def _each(read: Any, cells: Sequence[Any], hosts: Sequence[str]) -> list[Any]:
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
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if isinstance(cell, list | tuple):
        parts = tuple(read(part) for part in cell if part is not None)
        return parts or None
    return read(cell)


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


def hash_array(hashes: Sequence[bytes | None]) -> pa.FixedSizeBinaryArray:
    """Turn hashes into an Arrow array, null where there is no content."""
    return pa.array(hashes, HASH_TYPE)
