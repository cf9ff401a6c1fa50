"""Is a difference between two cross-validated scores more than luck?

Scores of overlapping training sets are not independent, and the plain t-test calls noise a
discovery far too often. The corrected resampled t-test widens the interval by the overlap:

    Nadeau and Bengio (2003), Inference for the Generalization Error, Machine Learning 52.

Several arms are asked at once, so their p-values are corrected by Holm's step-down method,
which holds whatever the dependence between the arms, with weights fixed beforehand:

    Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Stat. 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

Verdict = Literal["helps", "hurts", "no evidence"]
CONFIDENCE = 0.95
POWER = 0.8


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
    """

    mean: float
    low: float
    high: float
    error: float
    wins: int
    splits: int
    p: float


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
    return Lift(mean, mean - reach, mean + reach, error, wins, count, p)


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Adjust p-values for the number of questions asked (Holm 1979, weights included).

    Parameters
    ----------
    p_values : sequence of float of length n
    weights : sequence of float of length n, optional
        How much of the allowed error each question may spend; equal by default. They must not
        depend on the p-values.

    Returns
    -------
    list of float of length n
        The probability of even one false discovery stays below 5 % where those below 0.05 are
        believed, whatever the dependence between the questions.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    >>> [round(p, 3) for p in holm([0.01, 0.04], weights=[1, 4])]
    [0.05, 0.05]
    """
    p, w = np.asarray(p_values, float), np.ones(len(p_values))
    if weights is not None:
        w = np.asarray(weights, float)
    adjusted, largest, left = np.empty(len(p)), 0.0, w.sum()
    for position in np.argsort(p / w, kind="stable"):
        largest = max(largest, min(1.0, p[position] * left / w[position]))
        adjusted[position] = largest
        left -= w[position]
    return [float(value) for value in adjusted]


def verdict_of(lift: Lift, adjusted_p: float, confidence: float = CONFIDENCE) -> Verdict:
    """Say in words what the corrected p-value allows to say.

    >>> verdict_of(corrected_lift([0.1, 0.2, 0.1], 0.2), adjusted_p=0.3)
    'no evidence'
    """
    if adjusted_p >= 1 - confidence or lift.mean == 0:
        return "no evidence"
    return "helps" if lift.mean > 0 else "hurts"


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
