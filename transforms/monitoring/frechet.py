"""How far apart two clouds of vectors lie: the Fréchet distance on their main axes.

The distance of two normal distributions of the same means and covariances (Dowson and Landau 1982,
*The Fréchet Distance between Multivariate Normal Distributions*, J. Multivariate Analysis 12). What
is exchanged is its expansion to second order, a sum of squares of differences of moments, so that
one draw costs a product and no decomposition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPONENTS = 32
# Axes along which nothing differs but rounding.
FLAT = 1e-8
BLOCK = 4096


@dataclass(frozen=True)
class Axes:
    """The principal axes of rows of both windows together, so that neither is preferred.

    Attributes
    ----------
    mean : ndarray of shape (dim,)
    axes : ndarray of shape (dim, n_components)
    variances : ndarray of shape (n_components,)
    total : float
        The variance along all axes, also those that are left out; its root is a *spread*.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    variances: NDArray[np.float64]
    total: float

    @classmethod
    def of(cls, vectors: NDArray[np.float32], count: int = COMPONENTS) -> Axes:
        """Find the axes; none where all rows are equal."""
        mean = vectors.mean(axis=0, dtype=np.float64)
        scatter: NDArray[Any] = np.zeros((vectors.shape[1], vectors.shape[1]))
        for start in range(0, len(vectors), BLOCK):
            centred = vectors[start : start + BLOCK] - mean
            scatter += centred.T @ centred
        variances, axes = np.linalg.eigh(scatter / len(vectors))
        # Rounding is as large as the vectors are long.
        least = FLAT * max(float(variances[-1]), float(mean @ mean) * FLAT)
        kept = np.flatnonzero(variances > least)[::-1][:count]
        along = axes[:, kept].astype(np.float32)
        return cls(mean.astype(np.float32), along, variances[kept], float(variances.sum()))

    def place(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the rows' places along the axes: shape (n_rows, n_components)."""
        placed: NDArray[Any] = (vectors - self.mean) @ self.axes
        return placed

    def moments(self, places: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return columns whose differences, squared and summed, are the squared distance.

        Of two windows with means and second moments that differ by little: the difference of means,
        and that of covariances ``d`` as ``sum d_ij**2 / (2 (v_i + v_j))``, where ``v`` are the
        variances along the axes.
        """
        one, other = np.triu_indices(len(self.variances))
        weights = 0.5 / (self.variances[one] + self.variances[other])
        weights[one != other] *= 2
        products = places[:, one] * places[:, other] * np.sqrt(weights).astype(np.float32)
        return np.concatenate([places, products], axis=1)


def distance(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the Fréchet distance of two sets of rows.

    Parameters
    ----------
    one, other : ndarray of shape (n_rows, n_columns)

    Examples
    --------
    >>> square = np.array([[0.0, 0], [0, 2], [2, 0], [2, 2]])
    >>> distance(square, square + [3, 4])
    5.0
    >>> round(distance(square, 2 * square - 1), 3)  # as wide again, about the same centre
    1.414
    """
    apart = one.mean(axis=0, dtype=np.float64) - other.mean(axis=0, dtype=np.float64)
    left, right = (np.atleast_2d(np.cov(rows.T, ddof=0)) for rows in (one, other))
    values, vectors = np.linalg.eigh(left)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ right @ root), 0)).sum()
    squared = apart @ apart + np.trace(left) + np.trace(right) - 2 * shared
    return float(np.sqrt(max(squared, 0.0)))
