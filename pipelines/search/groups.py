"""Near-copies among the current vectors of a deep feature, in groups of what hangs together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.pipelines.search.answer import Hit
from deepfeast.pipelines.search.vectors import VectorSearch
from deepfeast.pipelines.search.where import TIME
from deepfeast.transforms.copies import (
    CHAIN,
    COSINE,
    GROUP,
    SIZE,
    connected,
    estimated,
    numbered,
    of_encoder,
)
from deepfeast.transforms.errors import SearchError

if TYPE_CHECKING:
    from feast import FeatureStore
    from numpy.typing import NDArray

# Rows of a group that are shown.
SHOWN = 6


@dataclass(frozen=True)
class Group:
    """Rows that hang together: each is a near-copy of another one of them.

    Attributes
    ----------
    number : int
        As in the table of groups.
    hits : list of Hit
        All of them, the nearest first; `cosine` is that to the nearest other one. Contents are
        read of some rows of the first groups alone.
    """

    number: int
    hits: list[Hit]

    @property
    def shown(self) -> list[Hit]:
        """The rows that are shown where the group is."""
        return self.hits[:SHOWN]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"group": self.number, "rows": [hit.to_dict() for hit in self.hits]}


@dataclass(frozen=True)
class Duplicates:
    """The near-copies of a table.

    Attributes
    ----------
    view, feature : str
    threshold : float
        The cosine that near-copies have at least.
    reason : str
        Where the threshold is from.
    compared : int
        How many vectors were compared.
    groups : list of Group
        The largest first.
    table : Table
        Each key of the view once: the join keys; ``duplicate_group``, int64, a number of its own
        for what has no copy or no vector; ``group_size``; and ``nearest_cosine``, null where there
        is no copy.
    shown : int
        Of so many groups the contents were read.
    notes : list of str
    """

    view: str
    feature: str
    threshold: float
    reason: str
    compared: int
    groups: list[Group]
    table: pa.Table
    shown: int
    notes: list[str]

    @property
    def copies(self) -> int:
        """How many rows are in groups."""
        return sum(len(group.hits) for group in self.groups)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        plain = {
            name: value for name, value in vars(self).items() if name not in ("table", "shown")
        }
        return {**plain, "groups": [group.to_dict() for group in self.groups]}

    def rows(self) -> list[dict[str, Any]]:
        """Return the groups that are shown, some rows of each."""
        return [
            {"group": str(group.number), **hit.row()}
            for group in self.groups[: self.shown]
            for hit in group.shown
        ]

    def __str__(self) -> str:
        """Say it in two lines."""
        return (
            f"{self.view}:{self.feature}: {self.copies:,} of {self.compared:,} rows are "
            f"near-copies, in {len(self.groups):,} groups\n"
            f"near means a cosine of at least {self.threshold:.4g}: {self.reason}"
        )


def duplicates(
    store: FeatureStore | str | Path,
    view: str,
    feature: str | None = None,
    threshold: float | None = None,
    count: int = 10,
) -> Duplicates:
    """Find near-copies among the current vectors of a view: all pairs are compared.

    Parameters
    ----------
    store : FeatureStore, str or Path
        The store, or the folder of its repo.
    view : str
        Name of a deep feature view.
    feature : str, optional
        By default the first of the view.
    threshold : float, optional
        The cosine that near-copies have at least, above 0 and up to 1. By default that of the
        encoder, or else one estimated from the vectors.
    count : int
        Of how many groups contents are read.

    Raises
    ------
    SearchError
        If fewer than two keys have a vector, all vectors are equal, or the threshold is none.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise SearchError(f"threshold {threshold}: expected a cosine above 0 and up to 1.")
    opened = VectorSearch(store, view, feature)
    units, name = opened.units, opened.feature.name
    if len(units) < 2:
        raise SearchError(
            f"one key of {view}:{name} has a vector, and a copy takes two. See: "
            f"deepfeast rejects {view}"
        )
    if threshold is None:
        threshold, reason = of_encoder(opened.feature) or estimated(units)
    else:
        reason = "as asked"
    labels, nearest = connected(units, threshold)
    numbers, sizes = numbered(labels)
    groups = _groups(opened, numbers, sizes, nearest, count)
    notes = []
    if len(opened.without):
        notes.append(f"{len(opened.without):,} keys have no vector and are in no group")
    if groups and len(groups[0].hits) > max(2, CHAIN * len(units)):
        notes.append(
            f"the largest group holds {len(groups[0].hits) / len(units):.0%} of all rows: a chain "
            f"of near ones rather than copies. Raise --threshold above {threshold:.4g}, or look at "
            f"the column {opened.feature.column!r}"
        )
    table = _table(opened, numbers, sizes, nearest)
    return Duplicates(
        view, name, threshold, reason, len(units), groups, table, min(count, len(groups)), notes
    )


def _groups(
    opened: VectorSearch,
    numbers: NDArray[np.int64],
    sizes: NDArray[np.int64],
    nearest: NDArray[np.float64],
    count: int,
) -> list[Group]:
    order = np.lexsort((-nearest, numbers))
    order = order[sizes[order] > 1]
    found = opened.keys.take(pa.array(order))
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, sizes[order][starts])
    looked_at = np.flatnonzero((numbers[order] < count) & (place < SHOWN))
    contents: dict[int, dict[str, Any]] = {}
    if len(looked_at):
        read = opened.contents(found.take(pa.array(looked_at)))
        contents = {
            int(row): {name: values[at] for name, values in read.items()}
            for at, row in enumerate(looked_at)
        }
    keys, times = found.drop([TIME]).to_pylist(), found.column(TIME).to_pylist()
    cosines = nearest[order].tolist()
    hits = [
        Hit(key, cosine, time, {}, contents.get(row, {}))
        for row, (key, cosine, time) in enumerate(zip(keys, cosines, times, strict=True))
    ]
    return [
        Group(number, hits[start : start + size])
        for number, (start, size) in enumerate(zip(starts, sizes[order][starts], strict=True))
    ]


def _table(
    opened: VectorSearch,
    numbers: NDArray[np.int64],
    sizes: NDArray[np.int64],
    nearest: NDArray[np.float64],
) -> pa.Table:
    """Put groups beside all keys: those without a vector are alone."""
    alone = len(opened.without)
    keys = pa.concat_tables([opened.keys, opened.without]).drop([TIME])
    after = np.arange(alone) + numbers.max() + 1
    cosines = np.concatenate([nearest, np.full(alone, np.nan)])
    return (
        keys.append_column(GROUP, pa.array(np.concatenate([numbers, after])))
        .append_column(SIZE, pa.array(np.concatenate([sizes, np.ones(alone, np.int64)])))
        .append_column(COSINE, pa.array(cosines, from_pandas=True))
    )
