"""Scores and lifts as people say them: errors in the target's unit, shares in points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.measure.comparison import Outcome

SHARES = {"accuracy", "balanced_accuracy"}


def amount(number: float) -> str:
    """Write an amount of the target: three digits that count, never an exponent.

    >>> amount(874_812.3), amount(18.2499), amount(0.012345), amount(0)
    ('875,000', '18.2', '0.0123', '0')
    """
    if number == 0 or not np.isfinite(number):
        return f"{number:g}"
    digits = 2 - int(np.floor(np.log10(abs(number))))
    rounded = round(number, digits)
    return f"{rounded:,.{max(0, digits)}f}"


def percent(share: float) -> str:
    """Write a share, with a decimal where it is small.

    >>> percent(0.182), percent(0.0345)
    ('18 %', '3.5 %')
    """
    return f"{100 * share:.0f} %" if abs(share) >= 0.1 else f"{100 * share:.1f} %"


def in_units(problem: Problem, before: Outcome, after: Outcome) -> str:
    """Say what a gain means: by how much predictions come nearer, on rows held out once.

    Returns
    -------
    str
        ``"median error 18 % → 16 %"`` where the logarithm is predicted, ``"median error 875,000 →
        760,000"`` for other numbers, ``"72 % → 75 % right, 3.1 points"`` for classes. Empty where
        the predictions of either are unknown.
    """
    known = np.isfinite(before.predictions) & np.isfinite(after.predictions)
    if not known.any():
        return ""
    truth = problem.y[known]
    if problem.classes:
        right = [float(np.mean(one.predictions[known] == truth)) for one in (before, after)]
        points = 100 * (right[1] - right[0])
        return f"{percent(right[0])} → {percent(right[1])} right, {points:+.1f} points".replace(
            "-", "−"
        )
    errors = [_median_error(problem, one.predictions[known], truth) for one in (before, after)]
    write = percent if problem.logged else amount
    return f"median error {write(errors[0])} → {write(errors[1])}"


def _median_error(problem: Problem, predicted: np.ndarray, truth: np.ndarray) -> float:
    if problem.logged:
        return float(np.median(np.abs(np.expm1(predicted - truth))))
    return float(np.median(np.abs(predicted - truth)))
