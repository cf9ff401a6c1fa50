"""Exact nearest neighbours by cosine: every vector is compared, and no index is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Vectors that are brought to another width at a time.
BLOCK = 4096
# Scores of which only the largest is looked at first.
RUN = 512
# Two float32 sums of the products of unit vectors differ by less; so that no neighbour is lost
# before all that may be one are compared in float64.
MARGIN = np.float32(1e-5)
# Rows of either side of a block of pairs, and how many of its pairs are few.
SIDE, FEW = 2048, 1 << 14
# The numbers of a vector that are compared first, and the rows that tell which.
HEAD, LEARNED = 96, 10_000
# Units of float32 are of length one to within this: copies have a cosine of at least 1 - ROUNDING.
ROUNDING = 1e-6


def to_units(
    matrix: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Bring vectors to length one, in place; those without a direction are left out.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, dim), float32
        Overwritten. Rows with NaN or infinity, and rows of zeros, have no direction.

    Returns
    -------
    units : ndarray of shape (n_left, dim), float32
        The first rows of `matrix`, which hold the vectors now.
    rows : ndarray of int of shape (n_left,)
        The row that each was.

    Examples
    --------
    >>> to_units(np.array([[0, 0], [3, 4], [np.nan, 1]], np.float32))
    (array([[0.6, 0.8]], dtype=float32), array([1]))
    """
    kept, end = [], 0
    for start in range(0, len(matrix), BLOCK):
        block = matrix[start : start + BLOCK].astype(np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", block, block))
        good = np.flatnonzero((norms > 0) & np.isfinite(norms))
        matrix[end : end + len(good)] = block[good] / norms[good, None]
        kept.append(good + start)
        end += len(good)
    return matrix[:end], np.concatenate([np.empty(0, np.intp), *kept])


def all_equal(units: NDArray[np.float32]) -> bool:
    """Tell whether there are several vectors, and all of them are one; rounding aside."""
    blocks = (units[start : start + BLOCK] for start in range(0, len(units), BLOCK))
    return len(units) > 1 and all(np.abs(block - units[0]).max() < MARGIN for block in blocks)


def nearest(
    units: NDArray[np.float32],
    query: NDArray[np.floating],
    count: int,
    among: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find the vectors that are nearest to another one by cosine: just those, none is missed.

    Parameters
    ----------
    units : ndarray of shape (n_rows, dim), float32
        Of length one, as `to_units` returns them.
    query : ndarray of shape (dim,)
        Of any length but zero.
    count : int
        How many; fewer are returned where there are no more.
    among : ndarray of bool of shape (n_rows,), optional
        Rows that may be found; by default all.

    Returns
    -------
    rows : ndarray of int of shape (n_found,)
        The nearest first; of equally near ones the earlier row.
    cosines : ndarray of float64 of shape (n_found,)

    Examples
    --------
    >>> rows, cosines = nearest(np.eye(3, dtype=np.float32), np.array([3.0, 4.0, 0.0]), 2)
    >>> rows.tolist(), cosines.round(2).tolist()
    ([1, 0], [0.8, 0.6])
    """
    exact = np.asarray(query, np.float64) / np.linalg.norm(np.asarray(query, np.float64))
    rough = exact.astype(np.float32)
    scores = units @ rough
    if among is not None:
        scores[~among] = -np.inf
    rows = np.flatnonzero(scores >= max(_reached(scores, count) - MARGIN, np.float32(-2)))
    cosines = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        cosines[part] = units[rows[part]].astype(np.float64) @ exact
    order = np.lexsort((rows, -cosines))[:count]
    return rows[order], cosines[order]


def _reached(scores: NDArray[np.float32], count: int) -> np.float32:
    """Return a score that so many reach, and few more: the largest of runs tell."""
    largest = scores[: len(scores) // RUN * RUN].reshape(-1, RUN).max(axis=1)
    some = largest if len(largest) >= count else scores
    if len(some) <= count:
        return np.float32(-np.inf)
    return np.float32(np.partition(some, -count)[-count])


def near_copies(
    units: NDArray[np.float32], least: float
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]]:
    """Compare all vectors with all, and yield the pairs that are near: just those, none is missed.

    Each pair is first bounded by a short vector (Cauchy and Schwarz: what lies outside the main
    axes adds at most the product of its lengths), then compared. A block of pairs is in memory at
    a time.

    Parameters
    ----------
    units : ndarray of shape (n_rows, dim), float32
        Of length one, as `to_units` returns them.
    least : float
        The cosine that near vectors have at least; what rounding takes away is granted.

    Yields
    ------
    rows, others : ndarray of int of shape (n_pairs,)
        The earlier and the later row of each pair.
    cosines : ndarray of float64 of shape (n_pairs,)

    Examples
    --------
    >>> units, _ = to_units(np.array([[3, 4], [4, -3], [6, 8]], np.float32))
    >>> [(rows.tolist(), others.tolist()) for rows, others, _ in near_copies(units, 0.9)]
    [([0], [2])]
    """
    least -= ROUNDING
    bounds = _bounds(units)
    for start in range(0, len(units), SIDE):
        for after in range(start, len(units), SIDE):
            rows, others, cosines = _near(units, bounds, start, after, least)
            good = (cosines >= least) & (rows < others)
            if good.any():
                yield rows[good], others[good], cosines[good]


def _near(
    units: NDArray[np.float32], bounds: NDArray[np.float32], start: int, after: int, least: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Compare two runs of rows: return some pairs, all near ones among them."""
    mine, theirs = slice(start, start + SIDE), slice(after, after + SIDE)
    width = len(units[theirs])
    found = np.empty(0, np.intp)
    for matrix in (bounds, units):
        scores = matrix[mine] @ matrix[theirs].T
        found = np.flatnonzero(scores >= np.float32(least) - MARGIN)
        if len(found) <= FEW:
            rows, others = found // width + start, found % width + after
            left, right = units[rows].astype(np.float64), units[others].astype(np.float64)
            return rows, others, np.einsum("ij,ij->i", left, right)
    exact = units[mine].astype(np.float64) @ units[theirs].astype(np.float64).T
    return found // width + start, found % width + after, exact.ravel()[found]


def _bounds(units: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return short vectors whose products are nowhere smaller than those of the units."""
    if units.shape[1] <= 2 * HEAD:
        return units
    some = units[:: max(1, len(units) // LEARNED)].astype(np.float64)
    axes = np.linalg.eigh(some.T @ some)[1][:, -HEAD:]
    bounds = np.empty((len(units), HEAD + 1), np.float32)
    for start in range(0, len(units), BLOCK):
        part = slice(start, start + BLOCK)
        heads = units[part] @ axes
        rest = 1 + ROUNDING - np.einsum("ij,ij->i", heads, heads)
        bounds[part, :-1], bounds[part, -1] = heads, np.sqrt(np.maximum(rest, ROUNDING))
    return bounds
