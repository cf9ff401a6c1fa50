"""One clock: whatever says a time, in UTC; and times as one kind of number, nanoseconds since 1970.

A time without a zone is UTC, a date is its midnight, and a text is read as ISO 8601.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from deepfeast.transforms.errors import JoinError, Reject, SourceError

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.int64]

EVENT_TIME = pa.timestamp("us", tz="UTC")

NEVER = np.iinfo(np.int64).min
_PER_UNIT = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def nanoseconds(column: pa.Array | pa.ChunkedArray) -> Ints:
    """Turn times into nanoseconds since 1970, UTC; ``NEVER`` where null.

    Parameters
    ----------
    column : Array of timestamp, date or ISO 8601 text
        Times that nanoseconds cannot hold (before 1677, after 2262) become the first or last
        that they can.

    Raises
    ------
    JoinError
        If it holds no times.

    Examples
    --------
    >>> nanoseconds(pa.array([1, None], pa.timestamp("s", "UTC")))
    array([          1000000000, -9223372036854775808])
    """
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("s"))
    elif is_text(column.type):
        try:
            column = _parsed(column)
        except ValueError as error:
            raise JoinError(f"expected times, as ISO 8601 text: {_first_line(error)}.") from None
    if not pa.types.is_timestamp(column.type):
        raise JoinError(f"expected a column of timestamps, got {column.type}.")
    factor = _PER_UNIT[column.type.unit]
    ticks = np.asarray(pc.fill_null(pc.cast(column, pa.int64()), NEVER), dtype=np.int64)
    limit = np.iinfo(np.int64).max // factor
    scaled = np.clip(ticks, -limit, limit) * factor
    return np.where(ticks == NEVER, NEVER, scaled)


def utc(column: pa.Array | pa.ChunkedArray, name: str, where: str) -> Any:
    """Bring times to UTC microseconds, null where null.

    Parameters
    ----------
    column : Array of timestamp, date or ISO 8601 text
    name : str
        Name of the column, for the error.
    where : str
        Which rows these are, for the error.

    Raises
    ------
    SourceError
        If a value cannot be read as a time.

    Examples
    --------
    >>> utc(pa.array(["2024-05-01", None]), "event_timestamp", "row 0").to_pylist()[0].isoformat()
    '2024-05-01T00:00:00+00:00'
    """
    kind = column.type
    try:
        if is_text(kind):
            return _parsed(column).cast(EVENT_TIME)
        if pa.types.is_timestamp(kind) and kind.tz:
            return column.cast(EVENT_TIME, safe=False)
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return column.cast(pa.timestamp("us"), safe=False).cast(EVENT_TIME)
        raise ValueError(f"its type is {kind}")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise SourceError(
            f"the column {name!r} of {where} is not readable as time: {_first_line(error)}. "
            f"Expected timestamps, dates, or ISO 8601 text such as 2024-05-01T12:00:00Z."
        ) from error


def event_times(
    column: pa.Array, name: str, where: str, first: int = 0
) -> tuple[pa.Array, dict[int, Reject]]:
    """Bring times to UTC microseconds, as `utc` does, and say of each row without one why.

    Parameters
    ----------
    column : Array of timestamp, date or ISO 8601 text
    name : str
        Name of the column.
    where : str
        The file, for messages.
    first : int
        Number of the first row in it, from 0.

    Returns
    -------
    times : Array of timestamp
        Null where there is none, or none that can be read.
    rejects : dict of int to Reject
        By position: ``time_missing`` or ``time_unreadable``.

    Raises
    ------
    SourceError
        If the column holds something else than times.

    Examples
    --------
    >>> times, rejects = event_times(pa.array(["2024-05-01", "noon", None]), "at", "raw.csv", 7)
    >>> times.null_count, rejects[1].message
    (2, "row 8 of raw.csv, counted from 0, has 'noon' as 'at', which is no ISO 8601 time")
    """
    if pa.types.is_null(column.type):
        column = column.cast(EVENT_TIME)
    times = _parsed(column, "coerce") if is_text(column.type) else utc(column, name, where)
    rejects = {}
    for position in np.flatnonzero(times.is_null().to_numpy(zero_copy_only=False)).tolist():
        row, cell = f"row {first + position} of {where}, counted from 0,", column[position].as_py()
        rejects[position] = (
            Reject("time_missing", f"{row} has no {name!r}")
            if cell is None
            else Reject(
                "time_unreadable",
                f"{row} has {str(cell)[:40]!r} as {name!r}, which is no ISO 8601 time",
            )
        )
    return times, rejects


def is_text(type_: pa.DataType) -> bool:
    """Tell whether a type is one of Arrow's kinds of text."""
    return str(type_) in ("string", "large_string", "string_view")


def _first_line(error: Exception) -> str:
    return str(error).partition(". You might")[0]


def _parsed(
    column: pa.Array | pa.ChunkedArray, errors: Literal["raise", "coerce"] = "raise"
) -> pa.Array:
    import pandas as pd

    parsed = pd.to_datetime(column.to_pandas(), utc=True, format="ISO8601", errors=errors)
    return pa.Array.from_pandas(parsed, type=EVENT_TIME)


def instant(moment: datetime) -> int:
    """Turn a datetime into nanoseconds since 1970; without a time zone, UTC is meant.

    >>> instant(datetime(1970, 1, 2))
    86400000000000
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(nanoseconds(pa.array([moment], pa.timestamp("us", "UTC")))[0])


def in_utc(moment: datetime) -> datetime:
    """Return a moment in UTC; without a time zone, UTC is meant.

    >>> in_utc(datetime(1970, 1, 2)).isoformat()
    '1970-01-02T00:00:00+00:00'
    """
    if moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc)


def utc_times(times: pd.Series, name: str) -> pd.Series:
    """Read times, or text that says times, as UTC; without a time zone UTC is meant.

    Raises
    ------
    JoinError
        If they are numbers, which could be seconds or milliseconds, or cannot be read.
    """
    import pandas as pd

    if isinstance(times.dtype, pd.DatetimeTZDtype):
        return times.dt.tz_convert("UTC")
    if pd.api.types.is_numeric_dtype(times.dtype):
        raise JoinError(
            f"{name} holds numbers ({times.dtype}), which could be seconds or milliseconds. "
            f"Convert it: pd.to_datetime(labels[{name!r}], unit='s', utc=True)."
        )
    try:
        return pd.to_datetime(times, utc=True)
    except (ValueError, TypeError) as error:
        raise JoinError(f"{name} cannot be read as times: {error}.") from None
