"""How far off each row's prediction is, in a unit that people use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem


def row_errors(problem: Problem, predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the error of each row, smaller is better.

    Parameters
    ----------
    problem : Problem
    predictions : ndarray of shape (n_rows,)
        As in `Outcome.predictions`: NaN where no split tested the row.

    Returns
    -------
    ndarray of shape (n_rows,)
        Of a class: 100 where it is wrong, 0 where it is right, so that a mean is a percentage.
        Of a logarithm: by how many percent the smaller of prediction and truth falls short of
        the larger, 50 for a half and for a double. Of a number: the absolute difference.
    """
    if problem.classes:
        return np.where(np.isnan(predictions), np.nan, 100.0 * (predictions != problem.y))
    if problem.logged:
        return -100.0 * np.expm1(-np.abs(predictions - problem.y))
    return np.abs(predictions - problem.y)


def error_unit(problem: Problem) -> str:
    """Name what `row_errors` counts.

    Returns
    -------
    str
        ``"% wrong"``, ``"% off"``, or the target's name.
    """
    if problem.classes:
        return "% wrong"
    return "% off" if problem.logged else str(problem.target)
