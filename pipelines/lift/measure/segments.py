"""Where a lift comes from: the gain by category, and by tenth of the target.

Predictions of rows that were held out are compared, those of the handcrafted columns with those
of `insight_arm`. The interval is that of a mean whose rows may belong together:

    Cameron and Miller (2015), A Practitioner's Guide to Cluster-Robust Inference, Journal of
    Human Resources 50.

It tells luck in the rows from more, for the models as they were fitted; it knows nothing of
other training rows, and is not corrected for the number of segments. A look, and no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from deepfeast.pipelines.lift.measure.errors import row_errors
from deepfeast.pipelines.lift.measure.insights import insight_arm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.measure.comparison import Comparison

TENTHS = 10
FEWEST_ROWS = 10
MOST_COLUMNS = 3
MOST_CATEGORIES = 8
FEW_NUMBERS = 8
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Segment:
    """What one model gains on one part of the rows.

    Attributes
    ----------
    model : str
    by, name : str
        The column and the part of it, e.g. ``("material", "oak")``.
    rows : int
        Held-out rows of this part.
    before, after : float
        Mean error without and with deep features, in the unit of `error_unit`.
    gain, low, high : float
        Before minus after, above zero is better, with its 95 % interval.
    """

    model: str
    by: str
    name: str
    rows: int
    before: float
    after: float
    gain: float
    low: float
    high: float


def segments(comparison: Comparison) -> list[Segment]:
    """Measure the gain on each part of the rows, for every model that ran.

    Returns
    -------
    list of Segment
        By model, then by column. Parts of fewer than 10 rows (or 2 groups) are left out, and a
        column of which fewer than two parts remain. Empty where no arm can be looked behind.
    """
    arm, problem = insight_arm(comparison), comparison.problem
    found: list[Segment] = []
    if arm is None:
        return found
    for model in comparison.models:
        before, after = comparison.baseline(model), comparison.outcome(model, arm.label)
        if before.failed or after.failed:
            continue
        old, new = (row_errors(problem, one.predictions) for one in (before, after))
        for by, parts in _partitions(problem):
            mine = [
                segment
                for name, inside in parts
                if (segment := _segment(problem, model, by, name, inside, old, new))
            ]
            found += mine if len(mine) > 1 else []
    return found


def _segment(
    problem: Problem,
    model: str,
    by: str,
    name: str,
    inside: NDArray[np.bool_],
    old: NDArray[np.float64],
    new: NDArray[np.float64],
) -> Segment | None:
    rows = np.flatnonzero(inside & np.isfinite(old) & np.isfinite(new))
    groups = rows if problem.groups is None else problem.groups[rows]
    if len(rows) < FEWEST_ROWS or len(np.unique(groups)) < 2:
        return None
    gain, reach = clustered_mean(old[rows] - new[rows], groups)
    before, after = float(old[rows].mean()), float(new[rows].mean())
    return Segment(model, by, name, len(rows), before, after, gain, gain - reach, gain + reach)


def clustered_mean(
    values: NDArray[np.float64], groups: NDArray[np.intp], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return a mean and half the width of its interval, where rows of a group belong together.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
    groups : ndarray of shape (n_rows,)
        At least two different ones.

    Returns
    -------
    mean, reach : float

    Examples
    --------
    >>> [round(part, 2) for part in clustered_mean(np.array([1.0, 2.0, 3.0]), np.arange(3))]
    [2.0, 2.48]

    The same rows three times over are no more evidence:

    >>> thrice = np.repeat([1.0, 2.0, 3.0], 3)
    >>> [round(part, 2) for part in clustered_mean(thrice, np.repeat(np.arange(3), 3))]
    [2.0, 2.48]
    """
    from scipy.stats import t

    mean = float(values.mean())
    _, codes = np.unique(groups, return_inverse=True)
    sums = np.bincount(codes, values - mean)
    count = len(sums)
    error = float(np.sqrt(count / (count - 1) * (sums**2).sum())) / len(values)
    return mean, float(t.ppf((1 + confidence) / 2, count - 1)) * error


def _partitions(problem: Problem) -> Iterator[tuple[str, list[tuple[str, NDArray[np.bool_]]]]]:
    """Yield the target's tenths or classes, then the columns of few categories."""
    if problem.classes:
        classes = enumerate(problem.classes)
        yield problem.target, [(str(name), problem.y == code) for code, name in classes]
    else:
        yield f"{problem.target}, by tenths", _tenths(problem.raw_target)
    short = [name for name in problem.handcrafted if _is_short(problem.frame[name])]
    for column in short[:MOST_COLUMNS]:
        yield column, _categories(problem.frame[column])


def _tenths(values: NDArray[np.float64]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Cut a target into ten parts of as many rows, fewer where values repeat."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, TENTHS + 1)))
    if len(edges) < 3:
        return []
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    return [
        (f"{short_number(edges[part])} to {short_number(edges[part + 1])}", place == part)
        for part in range(len(edges) - 1)
    ]


def short_number(value: float) -> str:
    """Write a number in three digits, and never with an exponent.

    >>> short_number(875312.0), short_number(12.345), short_number(0.01234)
    ('875,000', '12.3', '0.0123')
    """
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    digits = 2 - int(np.floor(np.log10(abs(value))))
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def _is_short(values: pd.Series) -> bool:
    distinct = values.nunique()
    if distinct < 2:
        return False
    words = not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)
    return words or distinct <= FEW_NUMBERS


def _categories(values: pd.Series) -> list[tuple[str, NDArray[np.bool_]]]:
    """Take the categories of most rows, and all others as one."""
    counts = values.value_counts()
    if pd.api.types.is_numeric_dtype(values):
        counts = counts.sort_index()
    kept = list(counts.index[:MOST_CATEGORIES])
    parts = [(str(name), (values == name).to_numpy(dtype=bool)) for name in kept]
    rest = (values.notna() & ~values.isin(kept)).to_numpy(dtype=bool)
    return [*parts, ("all others", rest), ("missing", values.isna().to_numpy())]
