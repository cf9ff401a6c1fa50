"""Have vectors drifted since the baseline of ``feast monitor``? As `deepfeast drift` asks it.

A baseline says of which event times its rows were. Those rows are the reference, and what is later
and in the range that is measured is compared with them. Rows of one entity are one group, or those
that the view declares to belong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from deepfeast.transforms.arrow import vectors_to_matrix
from deepfeast.transforms.history.latest import Span, rows_between
from deepfeast.transforms.monitoring.windows import bonferroni, compare_vectors
from deepfeast.transforms.nearest import all_equal
from deepfeast.transforms.times import in_utc, nanoseconds

if TYPE_CHECKING:
    from deepfeast.transforms.files.table import FeatureTable
    from deepfeast.transforms.monitoring.groups import Grouping
    from deepfeast.transforms.times import Ints

# Rows of either side that are compared; a monitor runs often.
MOST, DRAWS = 5000, 499


def times_of(table: FeatureTable, rows: Ints, timestamp: str) -> dict[str, str]:
    """Return the first and the last event time of some rows; nothing where there is none."""
    times = nanoseconds(table.take(rows, [timestamp]).column(timestamp))
    if not len(times):
        return {}
    ends = pd.Timestamp(int(times.min()), tz="UTC"), pd.Timestamp(int(times.max()), tz="UTC")
    return dict(zip(("first", "last"), (end.isoformat() for end in ends), strict=True))


def drift_since(
    table: FeatureTable,
    column: str,
    keys: Sequence[str],
    timestamp: str,
    base: Mapping[str, Any],
    span: Span,
    grouping: Grouping | None = None,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Compare the vectors of a range with those of a baseline.

    Parameters
    ----------
    table : FeatureTable
    column, timestamp : str
        Of the vectors and of the event times.
    keys : sequence of str
        Columns of the join keys.
    base : mapping
        With ``first`` and ``last``, as `times_of` returns them.
    span : Span
        What is measured. Rows that are not later than the baseline are left out.
    grouping : callable, optional
        Join keys and event times to the groups of rows; by default rows of one entity are one.

    Returns
    -------
    dict or None
        ``p`` (the smaller of the two, corrected), ``rows`` (that were later), ``groups`` (of the
        rows compared), ``place_p``, ``place`` (the Fréchet distance in spreads), ``novelty_p`` and
        ``novel`` (the share of rows as far out as a twentieth of the baseline). None where there
        is nothing to compare.
    """
    if "last" not in base:
        return None
    # Event times may be finer than a datetime.
    last = pd.Timestamp(base["last"]).ceil("us").to_pydatetime()
    before = Span(pd.Timestamp(base["first"]).floor("us").to_pydatetime(), last)
    start = last + timedelta(microseconds=1)
    later = Span(max(start, in_utc(span.start)) if span.start else start, span.end)
    random = np.random.default_rng(seed)
    sides = [rows_between(table, timestamp, one) for one in (before, later)]
    some = [np.sort(random.permutation(side)[:MOST]) for side in sides]
    rows = np.concatenate(some)
    order = np.argsort(rows)
    recent = (np.arange(len(rows)) >= len(some[0]))[order]
    if not 0 < recent.sum() < len(rows):
        return None
    read = table.take(rows[order], [column, *keys, timestamp])
    vectors = vectors_to_matrix(read.column(column))
    there = np.isfinite(vectors).all(axis=1) & (vectors.shape[1] > 0)
    some_keys = read.drop([column]).filter(pa.array(there))
    if grouping is None:
        names = some_keys.select(list(keys)).to_pandas()
        groups = names.groupby(list(keys), dropna=False, sort=False).ngroup().to_numpy()
    else:
        groups = grouping(some_keys)
    vectors, recent = vectors[there], recent[there]
    if not 0 < recent.sum() < len(recent) or all_equal(vectors) or groups.max() == 0:
        return None
    changes, _ = compare_vectors(vectors, groups, recent, draws=DRAWS, seed=seed)
    named = {change.question: change for change in changes}
    place, novelty = named["place"], named.get("novelty")
    return {
        "p": min(bonferroni(changes)),
        "rows": len(sides[1]),
        "groups": int(groups.max()) + 1,
        "place_p": place.p,
        "place": place.now,
        "novelty_p": novelty and novelty.p,
        "novel": novelty and novelty.now,
    }
