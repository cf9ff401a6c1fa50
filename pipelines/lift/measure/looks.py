"""When to stop drawing splits, and what may then be said of an arm.

The splits are drawn at random, so a verdict near the line hangs on them. Two things keep it from
flipping. Where an arm is not clear after the first splits, more are drawn, up to six rounds of
folds; verdicts replicate the better the more there are:

    Bouckaert and Frank (2004), Evaluating the Replicability of Significance Tests for Comparing
    Learning Algorithms, PAKDD.

To look twice is to try twice, so the looks share one allowed error, fixed beforehand, as in
group-sequential trials; to give up early spends nothing of it:

    Lan and DeMets (1983), Discrete Sequential Boundaries for Clinical Trials, Biometrika 70.

Many arms are asked at once, of several models, so the error is shared among all of them by Holm's
step-down method, which holds whatever the dependence between them:

    Holm (1979), A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Stat. 6.

And what lies so near the line that other splits could turn it is called *borderline*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepfeast.pipelines.lift.measure.stats import CONFIDENCE, Lift, Verdict, projected

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALLOWED = 1 - CONFIDENCE
EARLY = 0.4
BAND = 1.25
"""How many standard deviations of other splits' outcomes the line must be away."""


@dataclass(frozen=True)
class Look:
    """One look at the scores: after so many rounds of folds, spending so much of the error."""

    rounds: int
    spends: float


def plan_looks(rounds: int, most: int) -> list[Look]:
    """Plan the looks: one after the first round, that only gives up; one; and the last.

    >>> [(look.rounds, round(look.spends, 2)) for look in plan_looks(2, 6)]
    [(1, 0.0), (2, 0.02), (6, 0.03)]
    >>> plan_looks(2, 2)[-1].spends == 1 - CONFIDENCE
    True
    """
    first = [Look(1, 0.0)] if rounds > 1 else []
    if most <= rounds:
        return [*first, Look(rounds, ALLOWED)]
    return [*first, Look(rounds, EARLY * ALLOWED), Look(most, (1 - EARLY) * ALLOWED)]


@dataclass(frozen=True)
class Ruling:
    """What a look says of one arm.

    Attributes
    ----------
    verdict : {"helps", "hurts", "borderline", "no evidence"}
    level : float
        The error that this arm could spend.
    line : float
        How large a lift had to be, in the unit of the score.
    band : float
        How far other splits might move it: half the width of the borderline.
    """

    verdict: Verdict
    level: float
    line: float
    band: float


def rule(lifts: Sequence[Lift], weights: Sequence[float], spends: float) -> list[Ruling]:
    """Judge arms together: Holm's weighted step-down, and a borderline around each line.

    Parameters
    ----------
    lifts : sequence of Lift of length n
    weights : sequence of float of length n
        How the allowed error is shared, fixed before any score was known.
    spends : float
        The allowed error, over all arms together.

    Returns
    -------
    list of Ruling of length n

    Examples
    --------
    >>> from deepfeast.pipelines.lift.measure.stats import corrected_lift
    >>> clear = corrected_lift([0.5, 0.51, 0.49, 0.5] * 5, 0.25)
    >>> [one.verdict for one in rule([clear], [1.0], 0.05)]
    ['helps']
    """
    levels = step_down([lift.p for lift in lifts], weights, spends)
    return [_ruling(lift, level) for lift, level in zip(lifts, levels, strict=True)]


def hopeless(
    lifts: Sequence[Lift], weights: Sequence[float], spends: float, splits: int, share: float
) -> list[bool]:
    """Say which arms more splits could hardly bring over the line of the last look.

    Parameters
    ----------
    lifts, weights
        As in `rule`; a lift below zero is hopeless: give its size where it may yet hurt.
    spends : float
        What the last look may spend.
    splits : int
        How many splits there will be then.
    share : float
        Test rows over training rows of a split.
    """
    from scipy.stats import t

    total = float(sum(weights))
    lost = []
    for lift, weight in zip(lifts, weights, strict=True):
        critical = float(t.ppf(1 - spends * weight / total / 2, splits - 1))
        line = critical * projected(lift, splits, share).error
        lost.append(lift.mean + BAND * split_noise(lift, critical) < line)
    return lost


def step_down(
    p_values: Sequence[float], weights: Sequence[float], spends: float
) -> NDArray[np.float64]:
    """Return the level each question is tested at (Holm 1979, weighted): rejected where p is below.

    >>> step_down([0.001, 0.02, 0.5], [1, 1, 1], 0.05).round(4).tolist()
    [0.0167, 0.025, 0.05]
    """
    p, w = np.asarray(p_values, float), np.asarray(weights, float)
    levels, left = np.empty(len(p)), w.sum()
    for position in np.argsort(p / w, kind="stable"):
        levels[position] = spends * w[position] / left
        if p[position] <= levels[position]:
            left = max(left - w[position], w[position] * 1e-12)
    return levels


def _ruling(lift: Lift, level: float) -> Ruling:
    from scipy.stats import t

    if lift.error == 0:
        sure = lift.mean != 0
        word: Verdict = "no evidence" if not sure else "helps" if lift.mean > 0 else "hurts"
        return Ruling(word, level, 0.0, 0.0)
    if level <= 0:
        return Ruling("no evidence", level, float("inf"), 0.0)
    critical = float(t.ppf(1 - level / 2, lift.splits - 1))
    line = critical * lift.error
    band = BAND * split_noise(lift, critical)
    margin = abs(lift.mean) - line
    if margin > band:
        return Ruling("helps" if lift.mean > 0 else "hurts", level, line, band)
    return Ruling("borderline" if margin >= -band else "no evidence", level, line, band)


def split_noise(lift: Lift, critical: float) -> float:
    """Return how much other splits of the same rows move the distance between lift and line.

    The standard deviation of ``mean - critical * error``, as if the splits were independent, which
    errs on the large side: folds of one round hold each row out once.
    """
    mean = lift.spread**2 / lift.splits
    line = (critical * lift.error) ** 2 / (2 * (lift.splits - 1))
    return float(np.sqrt(mean + line))


def rows_needed(lift: Lift, ruling: Ruling, rows: int) -> int | None:
    """Estimate how many rows would make the verdict clear, were the lift as it now seems.

    The error of a lift shrinks with the root of the number of rows. None where the lift is not
    above zero, or more than a hundred times the rows would be needed.

    >>> lift = Lift(0.05, 0, 0, 0.02, 8, 10, 0.03, 0.04)
    >>> rows_needed(lift, Ruling("borderline", 0.01, line=0.06, band=0.02), 1000)
    2560
    """
    if lift.mean <= 0 or not np.isfinite(ruling.line):
        return None
    times = ((ruling.line + ruling.band) / lift.mean) ** 2
    if times > 100:
        return None
    exact = rows * max(times, 1.0)
    step = 10 ** max(int(np.floor(np.log10(exact))) - 2, 0)
    return int(np.ceil(exact / step) * step)


def splits_needed(lift: Lift, ruling: Ruling, drawn: int, share: float, step: int) -> int | None:
    """Estimate how many splits of the same rows would make it clear, were the lift to stay.

    More splits narrow the border, and bring the line down to where the overlap of the training
    sets leaves it: what is clear then may be a yes or a no.

    Parameters
    ----------
    drawn : int
        How many there are: more are asked for.
    share : float
        Test rows over training rows of a split.
    step : int
        Splits of one round of folds.

    Returns
    -------
    int or None
        A whole number of rounds. None where ten times the splits would not do: more rows are
        needed then.

    Examples
    --------
    >>> lift = Lift(0.05, 0, 0, 0.02, 25, 30, 0.02, spread=0.04)
    >>> splits_needed(lift, Ruling("borderline", 0.05, line=0.05, band=0.01), 30, 0.25, 5)
    55
    """
    for splits in range(drawn + step, 10 * drawn + 1, step):
        then = _ruling(projected(lift, splits, share), ruling.level)
        if then.verdict != "borderline":
            return splits
    return None
