"""The rows of two windows: their keys, what belongs together, what is missing and what rejected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from deepfeast.pipelines.drift.span import overlap, told
from deepfeast.pipelines.search.where import TIME
from deepfeast.transforms.embeddings.rejects import standing_rejects
from deepfeast.transforms.errors import DriftError
from deepfeast.transforms.files.columns import SourceColumns
from deepfeast.transforms.files.table import FeatureTable, open_table
from deepfeast.transforms.times import EVENT_TIME, nanoseconds

if TYPE_CHECKING:
    from feast import FeatureView
    from numpy.typing import NDArray

    from deepfeast.transforms.embeddings.table import EmbeddingTable
    from deepfeast.transforms.history.latest import Span
    from deepfeast.transforms.times import Ints

# Rows of one window that are compared: more tell little that these do not.
MOST = 20_000


@dataclass(frozen=True)
class WindowRows:
    """Rows of a deep view in two windows; of many, some that were drawn.

    Attributes
    ----------
    view : FeatureView
    table : FeatureTable
    rows : ndarray of int64 of shape (n_rows,)
        Their numbers, ascending.
    recent : ndarray of bool of shape (n_rows,)
        Whether each is of the recent window; the others are of the reference.
    keys : Table of n_rows rows
        The join keys, and ``event_timestamp``.
    counts : tuple of int
        Rows of the reference and of the recent window, before any were drawn.
    """

    view: FeatureView
    table: FeatureTable
    rows: Ints
    recent: NDArray[np.bool_]
    keys: pa.Table
    counts: tuple[int, int]

    @classmethod
    def of(
        cls,
        view: FeatureView,
        table: EmbeddingTable,
        reference: Span,
        recent: Span,
        most: int = MOST,
        seed: int = 0,
    ) -> WindowRows:
        """Find the rows whose event time lies in either window.

        Of a key and an event time the row that was written last counts.

        Raises
        ------
        DriftError
            If the windows overlap, or one has no rows.
        NeverEmbedded
            If there is no table yet.
        """
        if overlap(reference, recent):
            raise DriftError(
                f"the windows overlap: {told(reference)}, and {told(recent)}. A row cannot be new "
                f"and old."
            )
        table.must_exist()
        rows = open_table(table.uri, delta=True, name=view.name, storage_options=table.options)
        columns = SourceColumns.of(view)
        spans = reference, recent
        found = _found(rows, columns, spans)
        counts = tuple(int((found["window"] == number).sum()) for number in (0, 1))
        for name, span, count in zip(("reference", "recent"), spans, counts, strict=True):
            if not count:
                raise DriftError(
                    f"the {name} window ({told(span)}) has no rows of view {view.name!r}. "
                    f"{_held(rows, columns)}"
                )
        random = np.random.default_rng(seed)
        kept = []
        for number in (0, 1):
            mine = np.flatnonzero(found["window"] == number)
            drawn = random.choice(mine, min(most, len(mine)), replace=False)
            kept.append(drawn)
        some = found.iloc[np.concatenate(kept)].sort_values("row")
        numbers = some["row"].to_numpy()
        read = rows.take(numbers, [*columns.keys.values(), columns.time])
        keys = read.rename_columns([*columns.keys, TIME])
        times = keys.column(TIME).cast(EVENT_TIME, safe=False)
        keys = keys.set_column(len(columns.keys), TIME, times)
        return cls(
            view, rows, numbers, some["window"].to_numpy() == 1, keys, (counts[0], counts[1])
        )

    def __len__(self) -> int:
        return len(self.rows)

    def vectors(self, feature: str) -> NDArray[np.float32]:
        """Read the vectors of a feature; NaN where there is none, or it has a NaN."""
        dim = next(one.vector_length for one in self.view.features if one.name == feature)
        matrix = np.empty((len(self), dim), np.float32)
        self.table.take(self.rows, [], {SourceColumns.of(self.view).features[feature]: matrix})
        matrix[~np.isfinite(matrix).all(axis=1)] = np.nan
        return matrix

    def rejected(self, table: EmbeddingTable, features: list[str]) -> dict[str, NDArray[np.bool_]]:
        """Tell of each feature which rows were rejected, and not mended since."""
        flags = {feature: np.zeros(len(self), bool) for feature in features}
        rejects = standing_rejects(table)
        if rejects is None:
            return flags
        columns = SourceColumns.of(self.view)
        named = {**{source: name for name, source in columns.keys.items()}, columns.time: TIME}
        mine = _hashed(self.keys)
        for feature in features:
            some = rejects.filter(pa.compute.equal(rejects["feature"], feature))
            keys = some.select(list(named)).rename_columns(list(named.values()))
            times = keys.column(TIME).cast(EVENT_TIME, safe=False)
            keys = keys.set_column(keys.column_names.index(TIME), TIME, times)
            flags[feature] = mine.isin(_hashed(keys.select(self.keys.column_names))).to_numpy()
        return flags


def _hashed(keys: pa.Table) -> pd.Series:
    """Return one number for the keys and the time of each row."""
    return pd.util.hash_pandas_object(keys.to_pandas().astype(str), index=False)


def _found(rows: FeatureTable, columns: SourceColumns, spans: tuple[Span, Span]) -> pd.DataFrame:
    """Return the numbers of the rows in the windows, and which window each is of."""
    names = list(dict.fromkeys([*columns.keys.values(), *columns.times]))
    parts, seen = [], 0
    for batch in rows.scan(names):
        times = nanoseconds(batch.column(columns.time))
        window = np.where(spans[0].holds(times), 0, np.where(spans[1].holds(times), 1, -1))
        at = np.flatnonzero(window >= 0)
        some = batch.select(list(columns.keys.values())).take(pa.array(at)).to_pandas()
        some.columns = [f"key {number}" for number in range(some.shape[1])]
        made = nanoseconds(batch.column(columns.created)) if columns.created else times
        parts.append(some.assign(time=times[at], made=made[at], row=at + seen, window=window[at]))
        seen += len(batch)
    if not parts:
        return pd.DataFrame({"row": [], "window": []})
    found = pd.concat(parts, ignore_index=True).sort_values(["made", "row"], kind="stable")
    same = [name for name in found.columns if name not in ("made", "row", "window")]
    return found.drop_duplicates(same, keep="last")


def _held(rows: FeatureTable, columns: SourceColumns) -> str:
    """Say from when to when there are rows."""
    ends = [
        (int(times.min()), int(times.max()))
        for batch in rows.scan([columns.time])
        if len(times := nanoseconds(batch.column(columns.time)))
    ]
    if not ends:
        return "Its table is empty."
    first, last = (pd.Timestamp(f(end[at] for end in ends)) for at, f in enumerate((min, max)))
    return f"Its table has rows from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC."
