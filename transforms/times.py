"""Times as one kind of number: nanoseconds since 1970, UTC."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from deepfeast.transforms.errors import JoinError

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.int64]

NEVER = np.iinfo(np.int64).min
_PER_UNIT = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def nanoseconds(column: pa.Array | pa.ChunkedArray) -> Ints:
    """Turn times into nanoseconds since 1970, UTC; ``NEVER`` where null.

    Parameters
    ----------
    column : Array of timestamp or date
        Without a time zone, UTC is meant. Times that nanoseconds cannot hold (before 1677,
        after 2262) become the first or last that they can.

    Examples
    --------
    >>> nanoseconds(pa.array([1, None], pa.timestamp("s", "UTC")))
    array([          1000000000, -9223372036854775808])
    """
    if pa.types.is_date(column.type):
        column = pc.cast(column, pa.timestamp("s"))
    if not pa.types.is_timestamp(column.type):
        raise JoinError(f"expected a column of timestamps, got {column.type}.")
    factor = _PER_UNIT[column.type.unit]
    ticks = np.asarray(pc.fill_null(pc.cast(column, pa.int64()), NEVER), dtype=np.int64)
    limit = np.iinfo(np.int64).max // factor
    scaled = np.clip(ticks, -limit, limit) * factor
    return np.where(ticks == NEVER, NEVER, scaled)


def instant(moment: datetime) -> int:
    """Turn a datetime into nanoseconds since 1970; without a time zone, UTC is meant.

    >>> instant(datetime(1970, 1, 2))
    86400000000000
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(nanoseconds(pa.array([moment], pa.timestamp("us", "UTC")))[0])


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
