"""What a lookup is asked with: rows turned into columns, cells into values of declared types.

Rows of one request are independent, so what is wrong is said of each row, and all at once.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from deepfeast.transforms.arrow import as_pandas
from deepfeast.transforms.errors import JoinError

SHOWN = 3
_NEVER_MISSING = {str, int, bool, bytes, list, tuple, dict}


@dataclass
class Asked:
    """The rows of a request, by column.

    Attributes
    ----------
    columns : dict of str to list of length n_rows
        None for what is missing: None, NaN, ``pandas.NA`` or NaT.
    index : sequence of length n_rows
        That of a DataFrame, else 0, 1, 2….
    bad : dict of int to str
        What is wrong with a row, by position.
    """

    columns: dict[str, list[Any]]
    index: Any
    bad: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.index)

    def refuse(self) -> None:
        """Raise a JoinError that names the bad rows, if there are any."""
        if not self.bad:
            return
        told = [f"row {row}: {self.bad[row]}" for row in sorted(self.bad)[:SHOWN]]
        more = len(self.bad) - len(told)
        raise JoinError(
            f"{len(self.bad)} of {len(self)} rows cannot be looked up: {'; '.join(told)}"
            f"{f'; and {more} more' if more else ''}. Mend them, or leave them without an "
            f"answer: bad_rows='reject'."
        )


def read_rows(rows: Any) -> Asked:
    """Turn rows into columns.

    Parameters
    ----------
    rows : list of dict, or DataFrame of pandas or any other kind that Arrow can read

    Raises
    ------
    JoinError
        If they are neither.

    Examples
    --------
    >>> asked = read_rows([{"id": "a"}, {"id": float("nan"), "size": 3}, "b"])
    >>> asked.columns
    {'id': ['a', None, None], 'size': [None, 3, None]}
    >>> asked.bad
    {2: "expected a row such as {'listing_id': 'f9dc'}, got 'b'"}
    """
    if isinstance(rows, Mapping | str | bytes) or rows is None:
        raise JoinError(
            "expected a list of rows, such as [{'listing_id': 'f9dc'}], or a DataFrame."
        )
    if hasattr(rows, "columns") or hasattr(rows, "__arrow_c_stream__"):
        frame = as_pandas(rows)
        columns = {name: _present(list(frame[name])) for name in frame.columns}
        return Asked(columns, frame.index)
    bad, whole = {}, []
    for number, row in enumerate(rows):
        # To ask a dict whether it is a mapping takes longer than to read it.
        if type(row) is dict or isinstance(row, Mapping):
            whole.append(row)
        else:
            whole.append({})
            bad[number] = f"expected a row such as {{'listing_id': 'f9dc'}}, got {_short(row)}"
    names = dict.fromkeys(chain.from_iterable(whole))
    columns = {name: _present([row.get(name) for row in whole]) for name in names}
    return Asked(columns, range(len(whole)), bad)


def cast_cells(cells: Sequence[Any], kind: str) -> tuple[list[Any], dict[int, str]]:
    """Give cells the type that a key or feature declares.

    Parameters
    ----------
    cells : sequence
        None where missing.
    kind : str
        Name of a ``feast.ValueType``, such as ``"INT64"``.

    Returns
    -------
    values : list
        None where missing, or bad.
    bad : dict of int to str
        What was expected and given, by position.

    Examples
    --------
    >>> cast_cells([5, 5.0, "7", None, 5.5], "INT64")
    ([5, 5, 7, None, None], {4: 'expected a whole number (INT64), got 5.5'})
    """
    found = set(map(type, cells))
    if (kind == "STRING" and found <= {str} and _is_utf8(cells)) or kind not in _CASTS:
        return list(cells), {}
    expected, cast = _CASTS[kind]
    values: list[Any] = [None] * len(cells)
    bad = {}
    for number, cell in enumerate(cells):
        if cell is None:
            continue
        try:
            values[number] = cast(cell)
        except (ValueError, TypeError, OverflowError):
            bad[number] = f"expected {expected} ({kind}), got {_short(cell)}"
    return values, bad


def typed(values: list[Any], kind: str) -> Any:
    """Give a column the type that the training frame has.

    Whole numbers stay whole: where one is missing the column is pandas' nullable Int64.

    Examples
    --------
    >>> typed([1, None], "INT64")
    <IntegerArray>
    [1, <NA>]
    Length: 2, dtype: Int64
    """
    import pandas as pd

    missing = None in values
    if kind in _NULLABLE:
        plain, nullable = _NULLABLE[kind]
        return pd.array(values, dtype=nullable) if missing else np.array(values, plain)
    if kind in _FLOATS:
        return np.array(values, _FLOATS[kind])
    if kind == "UNIX_TIMESTAMP":
        return pd.to_datetime(pd.Series(values, dtype=object), utc=True).array
    column = np.empty(len(values), object)
    column[:] = values
    return column


def _present(cells: list[Any]) -> list[Any]:
    """Put None for what is missing."""
    if set(map(type, cells)) <= _NEVER_MISSING:
        return cells
    return [None if _is_missing(cell) else cell for cell in cells]


def _is_missing(cell: Any) -> bool:
    if isinstance(cell, float | np.floating):
        return bool(cell != cell)
    if isinstance(cell, np.datetime64):
        return bool(np.isnat(cell))
    return type(cell).__name__ in ("NoneType", "NAType", "NaTType")


def _is_utf8(texts: Sequence[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(cell: Any) -> str:
    if isinstance(cell, bool | np.bool_) or not isinstance(
        cell, str | int | np.integer | uuid.UUID
    ):
        raise TypeError
    text = str(cell)
    text.encode()  # a lone surrogate is a ValueError
    return text


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def cast(cell: Any) -> int:
        if isinstance(cell, bool | np.bool_):
            raise TypeError
        number = int(cell)
        if not low <= number <= high or (not isinstance(cell, str) and number != cell):
            raise ValueError
        return number

    return cast


def _real(cell: Any) -> float:
    if isinstance(cell, bool | np.bool_):
        raise TypeError
    return float(cell)


def _truth(cell: Any) -> bool:
    if not isinstance(cell, bool | np.bool_):
        raise TypeError
    return bool(cell)


def _bytes(cell: Any) -> bytes:
    if not isinstance(cell, bytes):
        raise TypeError
    return cell


def _short(cell: Any) -> str:
    text = repr(cell)
    return text if len(text) <= 60 else f"{text[:57]}..."


_CASTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "STRING": ("a text or a whole number", _text),
    "INT32": ("a whole number", _whole(-(2**31), 2**31 - 1)),
    "INT64": ("a whole number", _whole(-(2**63), 2**63 - 1)),
    "FLOAT": ("a number", _real),
    "DOUBLE": ("a number", _real),
    "BOOL": ("True or False", _truth),
    "BYTES": ("bytes", _bytes),
}
_FLOATS = {"FLOAT": "float32", "DOUBLE": "float64"}
_NULLABLE = {
    "INT32": ("int32", "Int64"),
    "INT64": ("int64", "Int64"),
    "BOOL": ("bool", "boolean"),
}
