"""What a comparison found: every arm's scores, and the verdict on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.ask.arms import MAIN_FORMS, Arm
from deepfeast.pipelines.lift.measure.looks import (
    ALLOWED,
    Look,
    Ruling,
    hopeless,
    rows_needed,
    rule,
    splits_needed,
)
from deepfeast.pipelines.lift.measure.stats import (
    Lift,
    Verdict,
    corrected_lift,
    detectable,
    projected,
    simultaneous_reach,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.ask.splits import Split

# No estimator's factory can be called so.
LINEAR = "linear, alone"
MAIN_SHARE = 0.8


@dataclass
class Outcome:
    """What one model made of one arm.

    Attributes
    ----------
    scores : ndarray of shape (n_splits_of_this_arm,)
        NaN in splits that failed. Clear arms stop early, so theirs are fewer.
    fit_seconds, predict_seconds : float
        Mean a split; fitting includes the arm's own columns.
    predictions : ndarray of shape (n_rows,)
        From the first round: the value, or the class code; NaN where no split tested the row.
    failed : str
        Why the arm has no score; empty where it has.
    lift, adjusted_p, verdict, detectable, reach, needed, needed_splits
        Against the baseline of the same model; None where none was asked for. `needed` is the
        number of rows that would make a borderline clear, `needed_splits` that of splits of the
        same rows, where it can be told.
    """

    model: str
    arm: Arm
    scores: NDArray[np.float64]
    fit_seconds: float
    predict_seconds: float
    predictions: NDArray[np.float64]
    columns: int = 0
    tested_rows: float = 0.0
    failed: str = ""
    lift: Lift | None = None
    adjusted_p: float | None = None
    verdict: Verdict | None = None
    detectable: float | None = None
    reach: float | None = None
    needed: int | None = None
    needed_splits: int | None = None

    @property
    def score(self) -> float:
        """Mean score over the splits."""
        return float(np.mean(self.scores)) if not self.failed else float("nan")

    @property
    def predict_milliseconds(self) -> float:
        """Time to predict 1,000 rows."""
        return 1e6 * self.predict_seconds / self.tested_rows if self.tested_rows else float("nan")


@dataclass
class Comparison:
    """Every arm of every model, scored on the same splits and judged.

    Attributes
    ----------
    problem : Problem
    splits : list of (train, test)
        All that were drawn; an arm's scores are of the first of them.
    outcomes : list of Outcome
    first : int
        Splits of the first round, which together test each row once.
    words : mapping of str to sparse matrix
        Word counts of each text column.
    questions : int
        Verdicts asked of all models together, which share one allowed error.
    """

    problem: Problem
    splits: list[Split]
    outcomes: list[Outcome]
    first: int = 5
    words: Mapping[str, Any] = field(default_factory=dict)
    questions: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def outcome(self, model: str, label: str) -> Outcome:
        """Return one outcome by model and arm label, e.g. ``("XGBoost", "+ all (probe)")``."""
        for outcome in self.outcomes:
            if outcome.model == model and outcome.arm.label == label:
                return outcome
        known = ", ".join(f"{outcome.model}: {outcome.arm.label}" for outcome in self.outcomes)
        raise KeyError(f"no arm {label!r} of model {model!r}. There are: {known}.")

    @property
    def models(self) -> list[str]:
        """The models that were asked, in order, the linear one left out."""
        return [name for name in dict.fromkeys(o.model for o in self.outcomes) if name != LINEAR]

    def baseline(self, model: str) -> Outcome:
        """Return the handcrafted arm of a model."""
        return next(o for o in self.outcomes if o.model == model and o.arm.kind == "baseline")

    def before(self, outcome: Outcome) -> float:
        """Return the score of the handcrafted columns on an outcome's own splits."""
        return float(np.mean(self.baseline(outcome.model).scores[: len(outcome.scores)]))

    def best(self, model: str) -> Outcome | None:
        """Return the deep arm that gains most on its own splits, or None where all failed."""
        lifts = [
            (o.lift.mean, o)
            for o in self.outcomes
            if o.model == model and o.arm.kind == "deep" and o.lift
        ]
        return max(lifts, key=lambda one: one[0], default=(0.0, None))[1]

    def test_share(self, splits: int) -> float:
        """Return test rows over training rows, on average over the first splits."""
        return float(np.mean([len(test) / len(train) for train, test in self.splits[:splits]]))


def measure_lifts(comparison: Comparison) -> None:
    """Give each arm its lift over the handcrafted columns of its model, on its own splits."""
    for outcome in comparison.outcomes:
        if outcome.arm.kind in ("baseline", "alone") or outcome.failed:
            continue
        baseline = comparison.baseline(outcome.model)
        if baseline.failed:
            continue
        count = len(outcome.scores)
        if count > 1:
            outcome.lift = corrected_lift(
                outcome.scores - baseline.scores[:count], comparison.test_share(count)
            )


def look(comparison: Comparison, now: Look, last: Look, settled: set[int]) -> set[int]:
    """Look at the scores: settle what is clear, and return the outcomes worth more splits.

    Parameters
    ----------
    now, last : Look
        This look, and the one that will be the last.
    settled : set of int
        Positions of outcomes that an earlier look has settled; those settled now are added.

    Returns
    -------
    set of int
        Positions of the outcomes that are unclear, and could still be found to help.
    """
    measure_lifts(comparison)
    asked = [
        position
        for position, outcome in enumerate(comparison.outcomes)
        # The control is a check of the method, not a question about the data.
        if outcome.lift and outcome.arm.kind != "control"
    ]
    comparison.questions = len(asked)
    shares = dict(zip(asked, _weights(comparison, asked), strict=True))
    open_ = [position for position in asked if position not in settled]
    lifts = [comparison.outcomes[position].lift for position in open_]
    known = [lift for lift in lifts if lift is not None]
    weights = [shares[position] for position in open_]
    rulings = rule(known, weights, now.spends)
    splits, share = last.rounds * comparison.first, comparison.test_share(len(comparison.splits))
    worth = set()
    if now is not last:
        # Before anything may be settled, what seems to hurt is looked at on, too.
        hoped = known if now.spends else [replace(lift, mean=abs(lift.mean)) for lift in known]
        lost = hopeless(hoped, weights, last.spends, splits, share)
        for position, ruling, given_up in zip(open_, rulings, lost, strict=True):
            if now.spends and ruling.verdict in ("helps", "hurts"):
                settled.add(position)
                _settle(comparison, position, ruling, now, splits)
            elif not given_up:
                worth.add(position)
        return worth
    for position, ruling in zip(open_, rulings, strict=True):
        _settle(comparison, position, ruling, now, splits)
    return worth


def _settle(comparison: Comparison, position: int, ruling: Ruling, now: Look, splits: int) -> None:
    """Write a ruling down; `splits` are those that an arm gets where it looks promising."""
    outcome = comparison.outcomes[position]
    lift = outcome.lift
    assert lift is not None
    outcome.verdict = ruling.verdict
    outcome.adjusted_p = min(1.0, lift.p * ALLOWED / max(ruling.level, 1e-12))
    level = max(ruling.level * ALLOWED / now.spends, 1e-12)
    share = comparison.test_share(len(outcome.scores))
    outcome.detectable = detectable(projected(lift, max(splits, lift.splits), share), level)
    outcome.reach = simultaneous_reach(lift, level)
    if ruling.verdict == "borderline":
        outcome.needed = rows_needed(lift, ruling, len(comparison.problem.y))
        # Of windows in time there is one round: no more can be drawn.
        if comparison.problem.times is None:
            drawn = max(splits, lift.splits)
            outcome.needed_splits = splits_needed(lift, ruling, drawn, share, comparison.first)


def _weights(comparison: Comparison, asked: Sequence[int]) -> list[float]:
    """Share the allowed error out over all models, before any score is known.

    One form is the main question about each feature, and the main questions together may spend
    80 %; the other forms and the rivals share the rest.
    """
    arms = [comparison.outcomes[position].arm for position in asked]
    forms = [form for form in MAIN_FORMS if any(arm.how == form for arm in arms)]
    main = [arm.kind == "deep" and arm.how == forms[0] for arm in arms] if forms else []
    if not any(main) or all(main):
        return [1.0] * len(arms)
    many, few = MAIN_SHARE / sum(main), (1 - MAIN_SHARE) / (len(arms) - sum(main))
    return [many if one else few for one in main]
