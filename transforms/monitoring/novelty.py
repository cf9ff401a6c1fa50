"""How unlike all earlier rows a row is: its distance to the nearest of them.

A row's own group is left out: an earlier row of its seller would be near, and say nothing of
sellers who are new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.transforms.times import Ints

BLOCK = 2048
# Reference rows that all are compared with.
MOST = 5000


def novelty(
    vectors: NDArray[np.float32], groups: Ints, recent: NDArray[np.bool_], seed: int = 0
) -> NDArray[np.float32]:
    """Return the distance of each row to the nearest reference row of another group.

    Parameters
    ----------
    vectors : ndarray of shape (n_rows, dim), float32
        No missing values.
    groups : ndarray of int64 of shape (n_rows,)
    recent : ndarray of bool of shape (n_rows,)
        The others are reference rows; of more than 5,000, so many are drawn to be compared with.

    Returns
    -------
    ndarray of shape (n_rows,), float32
        Infinity where the reference has no other group.

    Examples
    --------
    >>> vectors = np.array([[0], [1], [5], [6]], np.float32)
    >>> novelty(vectors, np.array([0, 1, 1, 2]), np.array([0, 0, 0, 1], bool)).tolist()
    [1.0, 1.0, 5.0, 1.0]
    """
    old = np.flatnonzero(~recent)
    if len(old) > MOST:
        old = np.sort(np.random.default_rng(seed).choice(old, MOST, replace=False))
    centre = vectors[old].mean(axis=0)
    known = vectors[old] - centre
    lengths = np.einsum("ij,ij->i", known, known)
    found = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), BLOCK):
        part = slice(start, start + BLOCK)
        rows = vectors[part] - centre
        squares = rows @ (-2 * known.T)
        squares += lengths
        squares[groups[part, None] == groups[old]] = np.inf
        squares = squares.min(axis=1) + np.einsum("ij,ij->i", rows, rows)
        found[part] = np.sqrt(np.maximum(squares, 0))
    return found


def scores(distances: NDArray[np.floating]) -> NDArray[np.float32]:
    """Turn distances into scores of their ranks: the few largest weigh most.

    Those of Savage (1956, *Contributions to the Theory of Rank Order Statistics*, Annals of
    Mathematical Statistics 27): a tenth of the rows that is far away is seen where the other nine
    tenths are as before.

    Examples
    --------
    >>> [f"{score:.2f}" for score in scores(np.array([5.0, 1.0, 9.0, 5.0]))]
    ['0.69', '0.13', '2.08', '0.69']
    """
    from scipy.stats import rankdata

    return -np.log1p((0.5 - rankdata(distances)) / len(distances)).astype(np.float32)
