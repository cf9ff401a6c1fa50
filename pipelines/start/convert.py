"""Cells of a table as what they mean: numbers, times, texts without tags, several photos in one."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

ISO = "ISO8601"
# Tried in this order: where a file could be read in two ways, the day stands first in most lands.
TIME_FORMATS = (
    ISO,
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%d %b %Y",
    "%b %d, %Y",
    "%B %d, %Y",
)
_AROUND = r"^(?:[$€£¥₹]|EUR|USD|GBP|CHF)\s*|\s*(?:[$€£¥₹%]|EUR|USD|GBP|CHF|km|m²|kg|cm)$"
_SPACES = "[\\s\u00a0\u2009\u202f']"
_NUMBER = {
    ".": r"^[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d*)?(?:[eE][+-]?\d+)?$",
    ",": r"^[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+)?(?:,\d*)?(?:[eE][+-]?\d+)?$",
}
# An address of mail in brackets is none.
TAG = re.compile(r"</?[a-zA-Z](?![^\s<>]*@)[^<>]{0,500}>|<!--.*?-->", re.DOTALL)
_SCRIPT = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/h\d|/tr)\b[^<>]*>", re.IGNORECASE)


def as_numbers(cells: pa.Array, decimal: str = ".") -> pa.Array:
    """Read numbers out of texts; null where there is none.

    Parameters
    ----------
    cells : Array of length n_rows
        Texts, or numbers of any type.
    decimal : {".", ","}
        What stands before decimals; the other one, and spaces, may part thousands.

    Examples
    --------
    >>> as_numbers(pa.array(["$1,200.50", "7", "1 000", "none", None])).to_pylist()
    [1200.5, 7.0, 1000.0, None, None]
    >>> as_numbers(pa.array(["1.234,5 €", "7,5"]), ",").to_pylist()
    [1234.5, 7.5]
    """
    if not pa.types.is_string(cells.type):
        return cells.cast(pa.float64(), safe=False)
    bare = pc.utf8_trim_whitespace(cells)
    bare = pc.replace_substring_regex(bare, _AROUND, "")
    bare = pc.replace_substring_regex(bare, _SPACES, "")
    good = pc.and_(
        pc.match_substring_regex(bare, _NUMBER[decimal]), pc.match_substring_regex(bare, r"\d")
    )
    bare = pc.replace_substring(bare, "," if decimal == "." else ".", "")
    if decimal == ",":
        bare = pc.replace_substring(bare, ",", ".")
    bare = pc.replace_substring_regex(bare, r"^\+", "")
    return pc.if_else(pc.fill_null(good, False), bare, pa.scalar(None, pa.string())).cast(
        pa.float64()
    )


def as_times(cells: pa.Array, form: str = ISO) -> pa.Array:
    """Read times, in UTC where they say no zone; null where there is none.

    >>> as_times(pa.array(["2024-05-01", "soon"])).to_pylist()[1] is None
    True
    >>> str(as_times(pa.array(["01.05.2024"]), "%d.%m.%Y")[0])
    '2024-05-01 00:00:00+00:00'
    """
    import pandas as pd

    if pa.types.is_string(cells.type):
        values = pd.Series(cells.to_pylist(), dtype=object)
        found = pd.to_datetime(values, format=form, errors="coerce", utc=True)
    else:
        found = pd.to_datetime(pd.Series(cells.to_pandas(date_as_object=False)), utc=True)
    return pa.Array.from_pandas(found.dt.as_unit("us"), type=pa.timestamp("us", "UTC"))


def without_tags(text: str | None) -> str | None:
    """Take the tags off a text, and read its entities.

    >>> without_tags("<p>Oak &amp; ash<br>two chairs</p>")
    'Oak & ash two chairs'
    """
    if text is None or ("<" not in text and "&" not in text):
        return text
    text = _BREAK.sub(" ", _SCRIPT.sub(" ", text))
    return " ".join(html.unescape(TAG.sub("", text)).split())


def as_texts(cells: pa.Array, tags: bool = False) -> pa.Array:
    """Read texts, without their HTML where that is asked; what is blank is null."""
    if pa.types.is_binary(cells.type) or pa.types.is_large_binary(cells.type):
        cells = pa.array([_decoded(cell) for cell in cells.to_pylist()], pa.string())
    cells = cells.cast(pa.string())
    if tags:
        cells = pa.array([without_tags(cell) for cell in cells.to_pylist()], pa.string())
    blank = pc.equal(pc.utf8_trim_whitespace(cells), "")
    return pc.if_else(pc.fill_null(blank, True), pa.scalar(None, pa.string()), cells)


def _decoded(cell: bytes | None) -> str | None:
    return None if cell is None else cell.decode("utf-8", "replace")


def parts_of(cell: str | None, separator: str) -> list[str]:
    """Cut a cell of several photos.

    Parameters
    ----------
    cell : str, optional
    separator : str
        What stands between them, or "json" for a list as JSON or Python write it; "" where there
        is one alone.

    Examples
    --------
    >>> parts_of("a.jpg; b.jpg", ";"), parts_of('["a.jpg", "b.jpg"]', "json"), parts_of(None, ";")
    (['a.jpg', 'b.jpg'], ['a.jpg', 'b.jpg'], [])
    """
    if cell is None or not cell.strip():
        return []
    if separator == "json":
        found = _listed(cell)
    elif separator:
        found = cell.split(separator)
    else:
        found = [cell]
    return [part.strip() for part in found if part.strip()]


def _listed(cell: str) -> list[str]:
    for text in (cell, cell.replace("'", '"')):
        try:
            found: Any = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, list):
            return [str(part) for part in found if part is not None]
    return [cell]


def as_photos(cells: pa.Array, separator: str = "") -> pa.Array:
    """Read cells of photos: bytes and lists as they are, several in one text as a list."""
    if not pa.types.is_string(cells.type):
        if pa.types.is_struct(cells.type):  # as Hugging Face's data sets write images
            return cells.field("bytes")
        return cells
    if not separator:
        return cells
    several = [parts_of(cell, separator) or None for cell in cells.to_pylist()]
    return pa.array(several, pa.list_(pa.string()))
