"""How somebody wrote a CSV: its encoding, what stands between its cells, how it writes numbers."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from deepfeast.transforms.errors import SourceEmpty, SourceError

START_BYTES = 1 << 18
BLOCK_BYTES = 1 << 22
DELIMITERS = (",", ";", "\t", "|")
WORDS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_COMMA_NUMBER = re.compile(r"[+-]?\d{1,3}(\.\d{3})*,\d+|[+-]?\d+,\d+")


@dataclass(frozen=True)
class CsvForm:
    """How a CSV is written.

    Attributes
    ----------
    encoding : str
        A codec of Python.
    delimiter : str
    decimal : {".", ","}
        What stands before the decimals of a number that could be read either way.
    header : list of str
        Names of the columns, as they stand there.
    blank : int
        Empty lines before the header.
    """

    encoding: str
    delimiter: str
    decimal: str
    header: list[str]
    blank: int = 0

    def __str__(self) -> str:
        return (
            f"{self.encoding}, {WORDS[self.delimiter]} between cells, "
            f"decimal {'comma' if self.decimal == ',' else 'point'}"
        )


def open_bytes(path: Path) -> Any:
    """Open a file to read its bytes; one that ends in .gz, .bz2 or .zst is unpacked on the way."""
    return pa.input_stream(str(path), compression="detect")


def read_form(path: Path) -> CsvForm:
    """Find out how a CSV is written, from its bytes.

    Raises
    ------
    SourceEmpty
        If there is nothing in it.
    SourceError
        If it is no text.
    """
    encoding = _encoding(path)
    with open_bytes(path) as file:
        start = codecs.getincrementaldecoder(encoding)("replace").decode(file.read(START_BYTES))
    start = start.removeprefix("\ufeff")
    odd = sum(letter < " " and letter not in "\t\r\n\f" for letter in start[:4096])
    if odd > len(start[:4096]) / 20:
        raise SourceError(f"{path} is no text: expected a CSV or a Parquet file.")
    lines = start.split("\n")
    blank = next((n for n, line in enumerate(lines) if line.strip()), None)
    if blank is None:
        raise SourceEmpty(f"{path} is empty: expected a line of column names, and rows below it.")
    found = {}
    for delimiter in DELIMITERS:
        rows = _rows(start, delimiter)
        if rows:
            usual, often = Counter(map(len, rows)).most_common(1)[0]
            fits = len(rows[0]) == usual > 1
            found[delimiter] = (fits, often / len(rows) if fits else 0.0, usual, rows)
    delimiter = max(found, key=lambda one: found[one][:3])
    fits, _, _, rows = found[delimiter]
    if not fits:  # one column, or rows of all lengths: a comma is what most would mean
        delimiter, rows = ",", found.get(",", found[delimiter])[3]
    return CsvForm(encoding, delimiter, _decimal(rows[1:], delimiter), rows[0], blank)


def _rows(start: str, delimiter: str) -> list[list[str]]:
    """Read the first hundred rows; the last of a cut text may be half of one."""
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(start, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > 100:
                break
    except csv.Error:  # a cell larger than the reader takes; what was read is enough
        pass
    return rows[:-1] if len(rows) > 2 else rows


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    """Tell by which sign decimals are set off; a file that is cut by commas has points."""
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    commas = sum(bool(_COMMA_NUMBER.fullmatch(cell)) for cell in cells)
    points = sum(bool(re.fullmatch(r"[+-]?\d+\.\d+", cell)) for cell in cells)
    return "," if commas > points else "."


def _encoding(path: Path) -> str:
    """Name the encoding of a file: by its mark, else UTF-8 where all of it is that."""
    with open_bytes(path) as file:
        start = file.read(BLOCK_BYTES)
        for mark, name in (
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF32_LE, "utf-32"),
            (codecs.BOM_UTF16_LE, "utf-16"),
            (codecs.BOM_UTF16_BE, "utf-16"),
        ):
            if start.startswith(mark):
                return name
        if b"\0" in start[:4096]:
            even, odd = start[:4096:2].count(0), start[1:4096:2].count(0)
            if max(even, odd) < len(start[:4096]) / 8:
                raise SourceError(f"{path} is no text: expected a CSV or a Parquet file.")
            return "utf-16-le" if odd > even else "utf-16-be"
        decoder = codecs.getincrementaldecoder("utf-8")()
        block = start
        try:
            while block:
                decoder.decode(block)
                block = file.read(BLOCK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _western(block)
    return "utf-8"


def _western(block: bytes) -> str:
    """Windows writes latin-1 with quotes and dashes in a range that latin-1 leaves empty."""
    try:
        block.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"
