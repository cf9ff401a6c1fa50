"""``deepfeast drift``: from two windows of an embedding table to a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from deepfeast.pipelines.drift.answer import Drift, Unusual, Verdict
from deepfeast.pipelines.drift.groups import find_groups
from deepfeast.pipelines.drift.outputs import learn_probe, told_shift
from deepfeast.pipelines.drift.rows import WindowRows
from deepfeast.pipelines.drift.span import read_span, told
from deepfeast.pipelines.lift.ask.contents import RawContents
from deepfeast.pipelines.search.where import TIME
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.errors import DriftError
from deepfeast.transforms.feast_api import open_store
from deepfeast.transforms.monitoring.exchange import DRAWS
from deepfeast.transforms.monitoring.novelty import MOST as MOST_COMPARED
from deepfeast.transforms.monitoring.windows import (
    Change,
    bonferroni,
    compare_shares,
    compare_vectors,
)
from deepfeast.transforms.nearest import all_equal
from deepfeast.transforms.views import find_deep_view

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore
    from numpy.typing import NDArray

    from deepfeast.transforms.history.latest import Span
    from deepfeast.transforms.probe import LinearProbe
    from deepfeast.transforms.times import Ints


def drift(
    store: FeatureStore | str | Path,
    view: str,
    reference: str | Span,
    recent: str | Span,
    *,
    groups: str | None = None,
    features: Sequence[str] = (),
    labels: pd.DataFrame | None = None,
    target: str | None = None,
    alpha: float = 0.05,
    draws: int = DRAWS,
    count: int = 10,
    seed: int = 0,
) -> Drift:
    """Compare the rows of a deep view in two windows of event time.

    Parameters
    ----------
    store : FeatureStore, str or Path
        The store, or the folder of its repo.
    view : str
        Name of a deep feature view.
    reference, recent : str or Span
        What is usual, and what is looked at: ``"2024-01-01..2024-03-31"``.
    groups : str, optional
        What belongs together; see `deepfeast.pipelines.drift.groups.find_groups`.
    features : sequence of str
        By default all of the view's.
    labels : DataFrame, optional
        Entity keys, ``event_timestamp`` and `target`: a probe learns it from each feature, and
        what it predicts is compared, too.
    target : str, optional
    alpha : float
        In so many unchanged windows an alarm may be raised.
    draws : int
        How often groups are exchanged; more where many tests ask for it.
    count : int
        How many unusual rows are shown of each feature.
    seed : int

    Returns
    -------
    Drift

    Raises
    ------
    DriftError
        If the windows cannot be compared.
    FeatureNotFound
        If there is no such view or feature.
    NeverEmbedded
        If the view has no table yet.

    Examples
    --------
    >>> drift("feature_repo", "listing_deep", "2024-01-01..2024-03-31", "2024-04-01..",
    ...       groups="seller_id").alarm  # doctest: +SKIP
    False
    """
    if (labels is None) != (target is None):
        raise DriftError("labels and a target go together: name both, or neither.")
    if not 0 < alpha < 1:
        raise DriftError(f"level {alpha}: expected a share between 0 and 1, such as 0.05.")
    spans = [read_span(one) if isinstance(one, str) else one for one in (reference, recent)]
    store = open_store(store)
    found, spec = find_deep_view(store, view)
    named = [spec.feature(name).name for name in features or (f.name for f in spec.features)]
    table = embedding_table(store, found)
    rows = WindowRows.of(found, table, spans[0], spans[1], seed=seed)
    codes, grouped, notes = find_groups(store, found, spec, rows.keys, groups, labels)
    if sum(rows.counts) > len(rows):
        notes.append(
            f"{len(rows):,} of {sum(rows.counts):,} rows were drawn at random to be compared"
        )
    # Of each feature there may be five tests; the smallest p is to be well below what they share.
    draws = max(draws, round(25 * len(named) / alpha))
    how = _How(codes, rows.recent, {"draws": draws, "seed": seed})
    rejected = rows.rejected(table, named)
    tests: list[_Seen] = []
    unusual: dict[str, list[Unusual]] = {}
    for name in named:
        vectors = rows.vectors(name)
        there = ~np.isnan(vectors[:, 0])
        tests += how.shares(name, ~there & ~rejected[name], ~there & rejected[name])
        if why := how.unfit(vectors, there):
            notes.append(f"{name}: {why}")
            continue
        probe = None
        if labels is not None and target is not None:
            try:
                probe = learn_probe(store, view, name, labels, target)
            except DriftError as error:  # other features may have one, and other questions count
                notes.append(f"{name}: {error}")
        seen, far = how.vectors(name, vectors, there, probe, target)
        tests += seen
        if (before := int((there & ~rows.recent).sum())) > MOST_COMPARED:
            notes.append(
                f"{name}: how far out a row lies is told from {MOST_COMPARED:,} of {before:,} "
                f"reference rows, drawn at random"
            )
        unusual[name] = _unusual(store, rows, name, far, count)
    if not tests:
        raise DriftError(f"nothing of view {view!r} can be compared: {'; '.join(notes)}.")
    return Drift(
        view=view,
        reference=told(spans[0]),
        recent=told(spans[1]),
        counts=rows.counts,
        groups=how.counts,
        told=grouped,
        alpha=alpha,
        tests=_judged(tests, alpha, notes),
        unusual=unusual,
        notes=notes,
    )


class _Seen(NamedTuple):
    """A change of a feature, and what was seen in words."""

    feature: str
    change: Change
    told: str


@dataclass(frozen=True)
class _How:
    """What all comparisons share."""

    groups: Ints
    recent: NDArray[np.bool_]
    drawn: dict[str, int]

    @property
    def counts(self) -> tuple[int, int]:
        """How many groups each window has."""
        old, new = (len(np.unique(self.groups[side])) for side in (~self.recent, self.recent))
        return old, new

    def shares(self, name: str, missing: Any, rejected: Any) -> list[_Seen]:
        found = []
        for question, rows in (("missing", missing), ("rejected", rejected)):
            change = compare_shares(question, rows, self.groups, self.recent, **self.drawn)
            if change:
                found.append(_Seen(name, change, f"{change.before:.1%} → {change.now:.1%}"))
        return found

    def unfit(self, vectors: NDArray[np.float32], there: NDArray[np.bool_]) -> str:
        """Say why vectors cannot be compared; nothing where they can."""
        for window, side in (("reference", ~self.recent), ("recent", self.recent)):
            if not there[side].any():
                return (
                    f"none of the {side.sum():,} rows of the {window} window has a vector, so that "
                    f"vectors are not compared"
                )
        some = vectors[there]
        if all_equal(some):
            return f"all {len(some):,} vectors are equal: look at its column and at its encoder"
        if len(np.unique(self.groups[there])) < 2:
            return "all rows that have a vector are of one group, so that they are not compared"
        return ""

    def vectors(
        self,
        name: str,
        vectors: NDArray[np.float32],
        there: NDArray[np.bool_],
        probe: LinearProbe | None,
        target: str | None,
    ) -> tuple[list[_Seen], NDArray[np.float64]]:
        """Compare vectors; return of each row how rare it is to lie so far out."""
        some, recent = vectors[there], self.recent[there]
        codes = np.unique(self.groups[there], return_inverse=True)[1]
        outputs = None if probe is None else probe.transform(some)
        changes, distances = compare_vectors(some, codes, recent, outputs, **self.drawn)
        found = []
        for change in changes:
            words = f"{change.now:.2f} spreads"
            if change.question == "novelty":
                words = f"{change.before:.1%} → {change.now:.1%} far out"
            elif change.question == "prediction" and outputs is not None and probe is not None:
                words = f"{told_shift(outputs, recent, probe, str(target))} ({change.now:.2f} sd)"
            found.append(_Seen(name, change, words))
        before = np.sort(distances[~recent])
        rare = np.full(len(vectors), np.nan)
        rare[there] = 1 - np.searchsorted(before, distances) / len(before)
        # Of those that are equally rare, the farthest first.
        rare[there] -= 1e-9 * np.argsort(np.argsort(distances))
        rare[~self.recent] = np.nan
        return found, rare


def _unusual(
    store: FeatureStore, rows: WindowRows, name: str, rare: NDArray[np.float64], count: int
) -> list[Unusual]:
    """Read the recent rows that lie farthest out."""
    order = np.argsort(rare)[: min(count, int(np.isfinite(rare).sum()))]
    keys = rows.keys.take(pa.array(order))
    raw = RawContents(store, keys.to_pandas())
    column = raw.feature(name).column
    found = zip(
        keys.drop([TIME]).to_pylist(),
        keys.column(TIME).to_pylist(),
        rare[order].tolist(),
        raw.read(name),
        strict=True,
    )
    return [
        Unusual(name, key, time, max(round(share, 6), 0.0), {column: content})
        for key, time, share, content in found
    ]


def _judged(tests: list[_Seen], alpha: float, notes: list[str]) -> list[Verdict]:
    """Correct for the number of tests, and note where no p could be small enough."""
    corrected = bonferroni([test.change for test in tests])
    finest = max(test.change.finest for test in tests) * len(tests)
    if finest >= alpha:
        notes.append(
            f"so few groups that no change can be told from luck: with {len(tests)} tests, p cannot"
            f" be below {min(finest, 1):.2f}. Take longer windows, or smaller groups"
        )
    judged = [
        Verdict(
            seen.feature,
            seen.change,
            p,
            p < alpha,
            seen.change.reached(alpha / len(tests)),
            seen.told,
        )
        for seen, p in zip(tests, corrected, strict=True)
    ]
    return sorted(judged, key=lambda test: test.p)
