"""The rows whose prediction deep features move most, and whether they move it the right way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from deepfeast.pipelines.lift.measure.errors import row_errors
from deepfeast.pipelines.lift.measure.insights import insight_arm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.measure.comparison import Comparison

SHOWN = 6
SHARE = 0.1


@dataclass(frozen=True)
class MovedRow:
    """One row, held out: its target, and what was predicted without and with deep features.

    Attributes
    ----------
    row : int
        Position in `Problem.frame`.
    truth, before, after : float
        In the unit of the target; class codes for classes.
    closer : bool
        The prediction came closer to the truth.
    """

    row: int
    truth: float
    before: float
    after: float
    closer: bool


@dataclass(frozen=True)
class Moved:
    """The rows that one model moved.

    Attributes
    ----------
    model : str
    considered : int
        The tenth of the rows that moved most; of classes, all whose class changed.
    closer, further : int
        How many of them came closer to the truth, and how many went further from it. Of classes,
        one wrong class for another is neither.
    rows : list of MovedRow
        Those that moved most; of classes, drawn at random.
    """

    model: str
    considered: int
    closer: int
    further: int
    rows: list[MovedRow] = field(default_factory=list)


def moved_rows(comparison: Comparison, *, shown: int = SHOWN, seed: int = 0) -> list[Moved]:
    """Compare each held-out prediction without deep features and with `insight_arm`.

    Returns
    -------
    list of Moved
        One a model that ran; of a target by its logarithm, movement is counted as a factor.
    """
    arm, problem = insight_arm(comparison), comparison.problem
    found: list[Moved] = []
    if arm is None:
        return found
    for model in comparison.models:
        before, after = comparison.baseline(model), comparison.outcome(model, arm.label)
        if before.failed or after.failed:
            continue
        old, new = before.predictions, after.predictions
        order = _by_movement(problem, old, new, seed)
        gained = row_errors(problem, old) - row_errors(problem, new)
        found.append(
            Moved(
                model,
                len(order),
                int((gained[order] > 0).sum()),
                int((gained[order] < 0).sum()),
                [_row(problem, row, old, new, gained) for row in order[:shown]],
            )
        )
    return found


def _by_movement(
    problem: Problem, old: NDArray[np.float64], new: NDArray[np.float64], seed: int
) -> NDArray[np.intp]:
    known = np.flatnonzero(np.isfinite(old) & np.isfinite(new))
    if problem.classes:
        changed = known[old[known] != new[known]]
        return np.random.default_rng(seed).permutation(changed)
    far = np.argsort(-np.abs(new[known] - old[known]), kind="stable")
    moved = known[far][: max(1, round(SHARE * len(known)))]
    return moved[new[moved] != old[moved]]


def _row(
    problem: Problem,
    row: int,
    old: NDArray[np.float64],
    new: NDArray[np.float64],
    gained: NDArray[np.float64],
) -> MovedRow:
    real = np.exp if problem.logged else float
    truth, before, after = (float(real(one[row])) for one in (problem.y, old, new))
    return MovedRow(int(row), truth, before, after, bool(gained[row] > 0))
