"""Is a difference between two cross-validated scores more than luck?

Scores of overlapping training sets are not independent, and the plain t-test calls noise a
discovery far too often. The corrected resampled t-test widens the interval by the overlap:

    Nadeau and Bengio (2003), Inference for the Generalization Error, Machine Learning 52.

What many arms and more than one look change about a verdict stands in `looks`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Verdict = Literal["helps", "hurts", "borderline", "no evidence"]
CONFIDENCE = 0.95
POWER = 0.8
FEWEST_SPLITS = 2
"""An interval of no more splits is so wide that it says nothing."""


@dataclass(frozen=True)
class Lift:
    """How much one arm gains over its baseline on the same splits.

    Attributes
    ----------
    mean : float
        Mean difference of the scores, arm minus baseline; above zero is better.
    low, high : float
        The corrected resampled interval of this arm alone, at 95 %.
    error : float
        Standard error of the mean, corrected for the overlap of the training sets.
    wins, splits : int
        Splits on which the arm scored higher, and all splits.
    p : float
        Two-sided p-value of this arm alone.
    spread : float
        Standard deviation of the differences over the splits.
    """

    mean: float
    low: float
    high: float
    error: float
    wins: int
    splits: int
    p: float
    spread: float = 0.0


def corrected_lift(
    differences: ArrayLike, test_share: float, confidence: float = CONFIDENCE
) -> Lift:
    """Judge paired differences of cross-validated scores (Nadeau and Bengio 2003).

    Parameters
    ----------
    differences : array-like of shape (n_splits,)
        Score of the arm minus score of the baseline, split by split; at least two.
    test_share : float
        Test rows over training rows of a split, e.g. 0.25 for five folds. The more the
        training sets overlap, the less one more split tells.
    confidence : float

    Returns
    -------
    Lift

    Examples
    --------
    >>> lift = corrected_lift([0.10, 0.14, 0.12, 0.11, 0.13], test_share=0.25)
    >>> f"{lift.mean:+.2f} ({lift.low:.2f} to {lift.high:.2f}), {lift.wins} of {lift.splits}"
    '+0.12 (0.09 to 0.15), 5 of 5'
    """
    from scipy.stats import t

    values = np.asarray(differences, dtype=float)
    count = len(values)
    if count < 2:
        raise ValueError(f"an interval needs at least 2 splits, got {count}")
    mean = float(values.mean())
    error = float(np.sqrt((1 / count + test_share) * values.var(ddof=1)))
    reach = float(t.ppf((1 + confidence) / 2, count - 1)) * error
    p = float(2 * t.sf(abs(mean) / error, count - 1)) if error > 0 else float(mean == 0)
    wins = int((values > 0).sum())
    return Lift(mean, mean - reach, mean + reach, error, wins, count, p, float(values.std(ddof=1)))


def projected(lift: Lift, splits: int, test_share: float) -> Lift:
    """Return the lift as it would stand after more splits of the same rows, were it to stay.

    >>> round(projected(Lift(0.1, 0, 0, 0.04, 4, 5, 0.1, spread=0.06), 30, 0.25).error, 3)
    0.032
    """
    error = lift.spread * float(np.sqrt(1 / splits + test_share))
    return replace(lift, splits=splits, error=error)


def detectable(lift: Lift, level: float = 1 - CONFIDENCE) -> float:
    """Return the smallest lift that these data would have shown, four times out of five.

    Parameters
    ----------
    lift : Lift
        Gives the noise: its standard error and number of splits.
    level : float
        The error that this question may spend; the less, the larger a lift must be to be seen.

    Returns
    -------
    float
        In the unit of the score.
    """
    from scipy.stats import t

    freedom = lift.splits - 1
    return float((t.ppf(1 - level / 2, freedom) + t.ppf(POWER, freedom)) * lift.error)


def simultaneous_reach(lift: Lift, level: float) -> float:
    """Return half the width of an interval at `level`, an arm's share of the allowed error."""
    from scipy.stats import t

    return float(t.ppf(1 - level / 2, lift.splits - 1)) * lift.error
