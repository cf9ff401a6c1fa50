"""Ridge regression whose strength is chosen in closed form: one decomposition for all.

With the eigenvectors of the centred rows at hand, the fit for any strength is a product, and
so is the error on a row (or a whole group of rows) had it been left out: no refit is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Ridge:
    """A fitted linear model.

    Attributes
    ----------
    coef : ndarray of shape (n_outputs, n_features)
    intercept : ndarray of shape (n_outputs,)
    alpha : float
        The strength chosen, relative to the number of rows.
    target_mean : ndarray of shape (n_outputs,)
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    alpha: float
    target_mean: NDArray[np.float64]

    def predict(self, X: NDArray[np.floating]) -> NDArray[np.float64]:
        """Predict: shape (n_rows, n_outputs)."""
        return X @ self.coef.T + self.intercept


def fit_ridge(
    X: NDArray[np.floating],
    Y: NDArray[np.float64],
    alphas: NDArray[np.float64],
    groups: NDArray[np.integer] | None = None,
) -> Ridge:
    """Fit a ridge on standardised columns, its strength chosen by left-out error.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        No missing values.
    Y : ndarray of shape (n_rows, n_outputs)
    alphas : ndarray of shape (n_alphas,)
        Candidates, relative to the number of rows.
    groups : ndarray of int of shape (n_rows,), optional
        Rows of one group are left out together when a candidate is judged.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> fit_ridge(X, 2 * X + 1, np.array([1e-6, 1.0])).predict(X).round(2).ravel().tolist()
    [1.0, 3.0, 5.0, 7.0]
    """
    center, spread = center_and_spread(X)
    Z = (X - center) / spread
    mean = Y.mean(axis=0)
    left, squares = _left_vectors(Z)
    projected = left.T @ (Y - mean)
    members = _by_size(groups) if groups is not None else []
    shrinks = squares / (squares + alphas[:, None] * len(X))  # (n_alphas, n_directions)
    if members:
        errors = [_left_out_groups(left, one, projected, Y - mean, members) for one in shrinks]
    else:
        errors = _left_out_rows(left, shrinks, projected, Y - mean)
    alpha = float(alphas[int(np.argmin(errors))])
    weights = Z.T @ (left @ (projected / (squares + alpha * len(X))[:, None]))
    coef = (weights / spread[:, None]).T
    return Ridge(coef, mean - coef @ center, alpha, mean)


def influences(
    X: NDArray[np.floating], alpha: float, differences: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return how far each row's target moves what a ridge on `X` says of differences of rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        What it was fitted on.
    alpha : float
        Its strength, relative to the number of rows.
    differences : ndarray of shape (n_differences, n_features)

    Returns
    -------
    ndarray of shape (n_rows, n_differences)
        ``influences.T @ targets`` is ``differences @ coef``.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> influences(X, 1e-6, np.array([[1.0]])).round(1).ravel().tolist()
    [-0.3, -0.1, 0.1, 0.3]
    """
    center, spread = center_and_spread(X)
    Z = (X - center) / spread
    inner = Z.T @ Z + alpha * len(X) * np.eye(X.shape[1])
    found: NDArray[np.float64] = Z @ np.linalg.solve(inner, (differences / spread).T)
    return found


def center_and_spread(
    X: NDArray[np.floating],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each column's mean and standard deviation, infinite where it never varies.

    A column that never varies says nothing; a tiny spread is rounding, not signal.

    >>> center_and_spread(np.array([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.]), array([ 1., inf]))
    """
    center, spread = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    # Rounding of float32 numbers, too, is no signal.
    least = 1e-12 if X.dtype == np.float64 else 1e-6
    return center, np.where(spread > least * (np.abs(center) + 1), spread, np.inf)


def _left_vectors(Z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the left singular vectors and squared singular values, by the smaller product."""
    wide = Z.shape[1] > Z.shape[0]
    squares, vectors = np.linalg.eigh(Z @ Z.T if wide else Z.T @ Z)
    kept = squares > max(squares.max(initial=0.0), 1e-300) * 1e-10
    squares, vectors = squares[kept], vectors[:, kept]
    return (vectors if wide else Z @ vectors / np.sqrt(squares)), squares


def _left_out_rows(
    left: NDArray[np.float64],
    shrinks: NDArray[np.float64],
    projected: NDArray[np.float64],
    targets: NDArray[np.float64],
) -> list[float]:
    """For each strength, the mean squared error of rows under models fitted without them."""
    leverage = 1 / len(targets) + (left**2) @ shrinks.T  # (n_rows, n_alphas)
    errors = []
    for position, shrink in enumerate(shrinks):
        residual = targets - left @ (shrink[:, None] * projected)
        kept = np.maximum(1 - leverage[:, position], 1e-9)
        errors.append(float(np.mean((residual / kept[:, None]) ** 2)))
    return errors


def _left_out_groups(
    left: NDArray[np.float64],
    shrink: NDArray[np.float64],
    projected: NDArray[np.float64],
    targets: NDArray[np.float64],
    members: list[NDArray[np.intp]],
) -> float:
    """Mean squared error of each row under the model fitted without its group."""
    count = len(targets)
    residual = targets - left @ (shrink[:, None] * projected)
    total = 0.0
    for rows in members:  # (n_groups of one size, size)
        if rows.shape[1] == 1:  # a row alone needs no system of equations
            alone = rows[:, 0]
            kept = np.maximum(1 - 1 / count - (left[alone] ** 2) @ shrink, 1e-9)
            total += float(((residual[alone] / kept[:, None]) ** 2).sum())
            continue
        hat = 1 / count + (left[rows] * shrink) @ left[rows].transpose(0, 2, 1)
        inside = np.eye(rows.shape[1]) * (1 + 1e-9) - hat
        total += float((np.linalg.solve(inside, residual[rows]) ** 2).sum())
    return total / targets.size


def _by_size(groups: NDArray[np.integer]) -> list[NDArray[np.intp]]:
    """Collect the rows of the groups, groups of one size in one array."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order][0] - 1))
    sizes = np.diff(np.append(starts, len(order)))
    return [
        order[starts[sizes == size][:, None] + np.arange(size)]
        for size in np.unique(sizes)
        if size < len(order)  # one group for all rows: nothing could be left out
    ]
