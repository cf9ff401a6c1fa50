"""What a comparison found: every arm's scores, and the verdict on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from deepfeast.pipelines.lift.ask.arms import MAIN_FORMS, Arm
from deepfeast.pipelines.lift.measure.stats import (
    CONFIDENCE,
    Lift,
    Verdict,
    corrected_lift,
    detectable,
    holm,
    simultaneous_reach,
    verdict_of,
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
    scores : ndarray of shape (n_splits,)
        NaN in splits that failed.
    fit_seconds, predict_seconds : float
        Mean a split; fitting includes the arm's own columns.
    predictions : ndarray of shape (n_rows,)
        From the first repeat: the value, or the class code; NaN where no split tested the row.
    failed : str
        Why the arm has no score; empty where it has.
    lift, adjusted_p, verdict, detectable, reach
        Against the baseline of the same model; None where none was asked for.
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
    outcomes : list of Outcome
    questions : int
        Verdicts asked of each model, which its p-values are corrected for.
    """

    problem: Problem
    splits: list[Split]
    outcomes: list[Outcome]
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

    def best(self, model: str) -> Outcome | None:
        """Return the deep arm that scores highest, or None where all failed."""
        deep = [o for o in self.outcomes if o.model == model and o.arm.kind == "deep" and o.lift]
        return max(deep, key=lambda outcome: outcome.score, default=None)


def judge(comparison: Comparison) -> None:
    """Give each arm its lift, and a verdict that knows how many its model was asked."""
    share = float(np.mean([len(test) / len(train) for train, test in comparison.splits]))
    for model in comparison.models:
        baseline = comparison.baseline(model)
        judged = []
        for outcome in comparison.outcomes:
            if outcome.model != model or outcome.failed or baseline.failed or outcome is baseline:
                continue
            outcome.lift = corrected_lift(outcome.scores - baseline.scores, share)
            # The control is a check of the method, not a question about the data.
            if outcome.arm.kind != "control":
                judged.append((outcome, outcome.lift))
        weights = _weights([outcome.arm for outcome, _ in judged])
        adjusted = holm([lift.p for _, lift in judged], weights)
        comparison.questions = max(comparison.questions, len(judged))
        for (outcome, lift), p, weight in zip(judged, adjusted, weights, strict=True):
            level = (1 - CONFIDENCE) * weight / sum(weights)
            outcome.adjusted_p = p
            outcome.verdict = verdict_of(lift, p)
            outcome.detectable = detectable(lift, level)
            outcome.reach = simultaneous_reach(lift, level)


def _weights(arms: Sequence[Arm]) -> list[float]:
    """Share the allowed error out, before any score is known.

    One form is the main question about each feature, the probe where there is one, and the
    main questions together may spend 80 %; the other forms and the rivals share the rest.
    """
    forms = [form for form in MAIN_FORMS if any(arm.how == form for arm in arms)]
    main = [arm.kind == "deep" and arm.how == forms[0] for arm in arms] if forms else []
    if not any(main) or all(main):
        return [1.0] * len(arms)
    many, few = MAIN_SHARE / sum(main), (1 - MAIN_SHARE) / (len(arms) - sum(main))
    return [many if one else few for one in main]
