"""Is a difference between two windows of time more than luck? Whole groups are exchanged to tell.

Rows of one seller are alike. To shuffle rows, as most drift alarms do, takes them for independent,
and finds drift in nearly every window whose rows come in clusters. Here a group stays whole: groups
of one window alone are drawn anew to the windows (a permutation test by cluster; Winkler et al.
2015, *Multi-level block permutation*, NeuroImage 123), and groups of both windows have their two
parts exchanged by a coin (Canay, Romano and Shaikh 2017, *Randomization tests under an approximate
symmetry assumption*, Econometrica 85). The second keeps its level, too, where a group's rows come
in batches of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.transforms.times import Ints

DRAWS, CHUNK = 999, 64
# What float32 makes of one sum in two orders.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Exchanged:
    """Differences of columns between the windows: as they are, and after exchanges.

    Attributes
    ----------
    seen : ndarray of shape (n_columns,), float32
        Mean of the recent rows less that of the reference rows.
    drawn : ndarray of shape (n_draws, n_columns), float32
        The same after each exchange.
    finest : float
        The smallest p that so many groups and draws can give.
    """

    seen: NDArray[np.float32]
    drawn: NDArray[np.float32]
    finest: float

    def p(self, columns: slice = slice(None), *, above: bool = False) -> float:
        """Return how often luck alone makes so large a difference, or a larger one.

        One is added to both counts, as what was seen is one arrangement itself (Phipson and Smyth
        2010, *Permutation P-values Should Never Be Zero*, Stat. Appl. Genet. Mol. Biol. 9).

        Parameters
        ----------
        columns : slice
            Which columns: their squares are added up.
        above : bool
            Of one column: count what is as large upwards alone.
        """
        if above:
            (seen,), drawn = self.seen[columns], self.drawn[:, columns].ravel()
        else:
            seen = (self.seen[columns] ** 2).sum()
            drawn = np.einsum("ij,ij->i", self.drawn[:, columns], self.drawn[:, columns])
        return float(1 + (drawn >= seen - ROUNDING * abs(seen)).sum()) / (1 + len(drawn))


def exchange(
    columns: NDArray[np.float32],
    groups: Ints,
    recent: NDArray[np.bool_],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Exchanged:
    """Exchange groups between two windows, many times.

    A draw costs as much as there are groups, not rows. Windows keep their numbers of rows, to
    within half a group.

    Parameters
    ----------
    columns : ndarray of shape (n_rows, n_columns), float32
        No missing values.
    groups : ndarray of int64 of shape (n_rows,)
        Equal within a group; from 0 on.
    recent : ndarray of bool of shape (n_rows,)
        Whether a row is of the recent window; both have some.

    Examples
    --------
    >>> column = np.array([[1], [1], [1], [1], [9], [9], [9]], np.float32)
    >>> recent = np.array([0, 0, 0, 0, 1, 1, 1], bool)
    >>> found = exchange(column, np.arange(7), recent)
    >>> found.seen.tolist(), found.p() < 0.06
    ([8.0], True)
    >>> exchange(column, np.array([0, 0, 0, 0, 1, 1, 1]), recent).p() > 0.4  # of two groups
    True
    """
    centred = columns - columns.mean(axis=0, dtype=np.float64).astype(np.float32)
    count = int(groups.max()) + 1
    old, new = (_sums(centred[side], groups[side], count) for side in (~recent, recent))
    n_old, n_new = (np.bincount(groups[side], minlength=count) for side in (~recent, recent))
    both = (n_old > 0) & (n_new > 0)
    alone = np.flatnonzero(((n_old > 0) | (n_new > 0)) & ~both)
    shares = np.float32(1 / n_old.sum()), np.float32(1 / n_new.sum())
    parts = new * shares[1] - old * shares[0]
    wholes, sizes = (old + new)[alone], (n_old + n_new)[alone]
    wanted = int(n_new[alone].sum())
    random = np.random.default_rng(seed)
    drawn = np.empty((draws, columns.shape[1]), np.float32)
    for start in range(0, draws, CHUNK):
        block = drawn[start : start + CHUNK]
        coins = random.integers(0, 2, (len(block), int(both.sum())), dtype=np.int8)
        placed = _placed(random, sizes, wanted, len(block))
        block[:] = (2 * coins - 1).astype(np.float32) @ parts[both]
        block += np.where(placed, shares[1], -shares[0]) @ wholes
    arrangements = _arrangements(len(alone), int((n_new[alone] > 0).sum()), int(both.sum()))
    return Exchanged(parts.sum(axis=0), drawn, max(1 / (1 + draws), 1 / arrangements))


def _sums(rows: NDArray[np.float32], groups: Ints, count: int) -> NDArray[np.float32]:
    """Add up the rows of each group."""
    order = np.argsort(groups, kind="stable")
    there, starts = np.unique(groups[order], return_index=True)
    sums = np.zeros((count, rows.shape[1]), np.float32)
    sums[there] = np.add.reduceat(rows[order], starts, axis=0)
    return sums


def _placed(random: np.random.Generator, sizes: Ints, wanted: int, draws: int) -> NDArray[np.bool_]:
    """Draw groups for the recent window, until it has its rows: shape (draws, n_groups)."""
    numbers = np.tile(np.arange(len(sizes)), (draws, 1))
    order = random.permuted(numbers, axis=1)
    drawn = sizes[order]
    placed = np.empty(order.shape, bool)
    # A group is in if the middle of it is.
    np.put_along_axis(placed, order, 2 * np.cumsum(drawn, axis=1) - drawn < 2 * wanted, axis=1)
    return placed


def _arrangements(alone: int, recent: int, both: int) -> float:
    """Count the arrangements that differ.

    >>> _arrangements(5, 2, 0), _arrangements(0, 0, 3), _arrangements(1, 0, 0)
    (10.0, 4.0, 1.0)
    """
    ways = math.lgamma(alone + 1) - math.lgamma(recent + 1) - math.lgamma(alone - recent + 1)
    # All coins turned give the same difference the other way round.
    coins = both - 1 if both and not 0 < recent < alone else both
    return float(round(math.exp(min(ways, 50.0)))) * 2.0 ** min(coins, 50)
