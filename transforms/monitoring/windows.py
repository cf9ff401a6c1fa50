"""What differs between two windows of time, and how sure that is.

Of the vectors: do they lie elsewhere (Fréchet distance), are rows among them unlike any before
(novelty), and does it move a prediction? Of all rows: are more missing, or rejected?
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from deepfeast.transforms.monitoring.exchange import DRAWS, exchange
from deepfeast.transforms.monitoring.frechet import Axes, distance
from deepfeast.transforms.monitoring.novelty import novelty, scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from deepfeast.transforms.times import Ints

# Novel is what lies as far out as this share of the reference rows, or farther.
NOVEL = 0.05


@dataclass(frozen=True)
class Change:
    """One question that was asked of two windows.

    Attributes
    ----------
    question : {"place", "novelty", "prediction", "missing", "rejected"}
    p : float
        How often luck alone makes so large a difference, if nothing has changed.
    finest : float
        The smallest p that there could have been.
    before, now : float
        What was measured: of ``"place"`` 0 and the Fréchet distance, in spreads of the vectors;
        of ``"novelty"`` the share of rows that are as far out as a twentieth of the reference
        rows; of ``"prediction"`` 0 and how far its mean has moved, in its standard deviations;
        else the share of rows.
    by_luck : ndarray of shape (n_draws,)
        By how much ``now`` differs from ``before`` where groups are exchanged.
    """

    question: str
    p: float
    finest: float
    before: float
    now: float
    by_luck: NDArray[np.floating] = field(repr=False)

    def reached(self, alpha: float) -> float:
        """Return the difference that luck passes in a share `alpha` of windows."""
        return float(np.quantile(np.abs(self.by_luck), 1 - alpha))


def bonferroni(tests: Sequence[Change]) -> list[float]:
    """Return each test's p, corrected for the number of tests: of all, one in twenty is below .05.

    >>> tests = [Change("place", p, 0.001, 0, 0, np.zeros(1)) for p in (0.02, 0.6)]
    >>> bonferroni(tests)
    [0.04, 1.0]
    """
    return [min(1.0, test.p * len(tests)) for test in tests]


def compare_vectors(
    vectors: NDArray[np.float32],
    groups: Ints,
    recent: NDArray[np.bool_],
    outputs: NDArray[np.floating] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[list[Change], NDArray[np.float32]]:
    """Compare the vectors of two windows.

    Parameters
    ----------
    vectors : ndarray of shape (n_rows, dim), float32
        No missing values, and not all of them equal.
    groups : ndarray of int64 of shape (n_rows,)
        Rows that are alike for another reason than time, from 0 on.
    recent : ndarray of bool of shape (n_rows,)
        The others are reference rows; both windows have some.
    outputs : ndarray of shape (n_rows, n_outputs), optional
        What a linear model predicts of each row.

    Returns
    -------
    tests : list of Change
        No novelty where the reference has one group alone, and no prediction that is constant.
    distances : ndarray of shape (n_rows,), float32
        See `deepfeast.transforms.monitoring.novelty.novelty`.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> vectors = random.normal(size=(300, 8)).astype(np.float32)
    >>> recent = np.arange(300) >= 200
    >>> vectors[290:] += 9
    >>> tests, distances = compare_vectors(vectors, np.arange(300), recent)
    >>> [(test.question, test.p < 0.01) for test in tests]
    [('place', True), ('novelty', True)]
    """
    axes = Axes.of(vectors)
    places = axes.place(vectors)
    distances = novelty(vectors, groups, recent, seed)
    blocks = {"place": axes.moments(places)}
    if np.isfinite(distances).all():
        far = distances >= np.quantile(distances[~recent], 1 - NOVEL)
        blocks["novelty"] = np.column_stack([scores(distances), far]).astype(np.float32)
    if outputs is not None and (moving := outputs.std(axis=0) > 0).any():
        scaled = outputs[:, moving] / outputs[:, moving].std(axis=0)
        blocks["prediction"] = scaled.astype(np.float32)
    found = exchange(np.column_stack([*blocks.values()]), groups, recent, draws=draws, seed=seed)
    tests, start = [], 0
    for question, block in blocks.items():
        part = slice(start, start := start + block.shape[1])
        size = np.linalg.norm(found.drawn[:, part], axis=1)
        if question == "place":
            wide = axes.total**0.5
            now = distance(places[~recent], places[recent]) / wide
            change = Change(question, found.p(part), found.finest, 0.0, now, size / wide)
        elif question == "novelty":
            before, now = float(far[~recent].mean()), float(far[recent].mean())
            p = found.p(slice(part.start, part.start + 1), above=True)
            change = Change(question, p, found.finest, before, now, found.drawn[:, part.stop - 1])
        else:
            now = float(np.linalg.norm(found.seen[part]))
            change = Change(question, found.p(part), found.finest, 0.0, now, size)
        tests.append(change)
    return tests, distances


def compare_shares(
    question: str,
    there: NDArray[np.bool_],
    groups: Ints,
    recent: NDArray[np.bool_],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Change | None:
    """Compare the share of rows of which something is true.

    Returns
    -------
    Change or None
        None where it is true of all rows or of none, so that nothing can differ.

    Examples
    --------
    >>> missing = np.arange(100) % 10 == 0
    >>> recent = np.arange(100) >= 60
    >>> compare_shares("missing", missing, np.arange(100), recent).p > 0.5
    True
    """
    if there.all() or not there.any():
        return None
    found = exchange(there[:, None].astype(np.float32), groups, recent, draws=draws, seed=seed)
    before, now = float(there[~recent].mean()), float(there[recent].mean())
    return Change(question, found.p(), found.finest, before, now, found.drawn[:, 0])
