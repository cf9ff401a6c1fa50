"""The verdict in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.ask.arms import MAIN_FORMS
from deepfeast.pipelines.lift.measure.stats import corrected_lift

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.comparison import Comparison, Outcome

ALL = "all deep features together"
FORMS = {
    "raw": "as raw numbers",
    "pca": "as principal components",
    "probe": "as a probe",
    "pca+probe": "as components and probe",
}


@dataclass(frozen=True)
class Finding:
    """What one model says about one deep feature.

    Attributes
    ----------
    feature, model : str
    word : {"helps", "hurts", "no evidence", "not run"}
    sentence : str
    outcome : Outcome or None
        The arm that the sentence speaks of.
    """

    feature: str
    model: str
    word: str
    sentence: str
    outcome: Outcome | None


def findings(comparison: Comparison) -> list[Finding]:
    """Give one finding for each deep feature and model, all features together last."""
    deep = [outcome.arm for outcome in comparison.outcomes if outcome.arm.kind == "deep"]
    asked = dict.fromkeys(arm.features for arm in deep)
    return [
        _finding(comparison, features, model) for features in asked for model in comparison.models
    ]


def headline(comparison: Comparison) -> str:
    """Answer in one line.

    A feature counts as helping if it helps one of the models.
    """
    found = [one for one in findings(comparison) if one.feature != ALL]
    names = list(dict.fromkeys(one.feature for one in found))
    words = {name: {one.word for one in found if one.feature == name} for name in names}
    helping = [name for name in names if "helps" in words[name]]
    hurting = [name for name in names if "hurts" in words[name] and name not in helping]
    together = {one.word for one in findings(comparison) if one.feature == ALL}
    rest = [name for name in names if name not in [*helping, *hurting]]
    if not helping:
        if "helps" in together:
            return "Yes, together: each deep feature alone shows too little to be sure of."
        if hurting:
            return (
                f"No. {_list(hurting)} {_verb(hurting, 'make')} the model worse: leave it as it is."
            )
        return "No evidence that deep features help here. Leave the model as it is."
    parts = [f"Yes: {_list(helping)} {_verb(helping, 'help')}."]
    if hurting:
        parts.append(f"{_list(hurting)} {_verb(hurting, 'hurt')}: leave out.")
    if rest:
        parts.append(f"No evidence for {_list(rest)}: leave out.")
    return " ".join(parts)


def _finding(comparison: Comparison, features: tuple[str, ...], model: str) -> Finding:
    name = features[0] if len(features) == 1 else ALL
    arms = [
        outcome
        for outcome in comparison.outcomes
        if outcome.model == model
        and outcome.arm.kind == "deep"
        and outcome.arm.features == features
    ]
    ran = [outcome for outcome in arms if outcome.lift]
    if not ran:
        return Finding(name, model, "not run", f"{model} could not be run: {arms[0].failed}.", None)
    best = min(ran, key=_rank)
    return Finding(
        name, model, best.verdict or "no evidence", _sentence(comparison, best, ran), best
    )


def _rank(outcome: Outcome) -> tuple[Any, ...]:
    """Order: the form that helps most; where none does, the form asked as the main question."""
    assert outcome.lift is not None
    helps = outcome.verdict == "helps"
    main = MAIN_FORMS.index(outcome.arm.how) if outcome.arm.how in MAIN_FORMS else 9
    return (not helps, -outcome.lift.mean if helps else main)


def _sentence(comparison: Comparison, best: Outcome, ran: list[Outcome]) -> str:
    lift, metric = best.lift, comparison.problem.metric_word
    assert lift is not None
    before, form = comparison.baseline(best.model).score, FORMS.get(best.arm.how, best.arm.how)
    size = (
        f"{before:.3f} → {best.score:.3f} {metric} {form}, {signed(lift.mean)} "
        f"(95 % interval {signed(lift.low)} to {signed(lift.high)})"
    )
    text = f"{best.model}: {size}."
    if best.verdict == "helps":
        return text + _against_words(comparison, best)
    if best.verdict == "no evidence":
        why = (
            "Luck can explain that"
            if lift.p > 0.05
            else f"Not enough where {comparison.questions} arms are asked at once"
        )
        text += f" {why}; {signed(best.detectable or 0.0)} would have been seen."
    worse = [o.arm.how for o in ran if o.verdict == "hurts" and o is not best]
    return text + (f" As {_list(worse)} it hurts." if worse else "")


def _against_words(comparison: Comparison, best: Outcome) -> str:
    """Compare with the cheap rival, on the same splits."""
    rivals = [
        outcome
        for outcome in comparison.outcomes
        if outcome.arm.kind == "rival"
        and outcome.model == best.model
        and outcome.arm.features == best.arm.features
        and outcome.lift
    ]
    if not rivals:
        return ""
    share = sum(len(test) / len(train) for train, test in comparison.splits)
    gap = corrected_lift(best.scores - rivals[0].scores, share / len(comparison.splits))
    size = f"{signed(gap.mean)}, {signed(gap.low)} to {signed(gap.high)}"
    if gap.low > 0:
        return f" That is more than plain TF-IDF of the same text gives ({size})."
    if gap.high < 0:
        return f" Plain TF-IDF of the same text gives more ({size} the other way round)."
    return f" Plain TF-IDF of the same text may do as well (difference {size})."


def signed(number: float) -> str:
    """Write a difference, with a true minus.

    >>> signed(-0.0314)
    '−0.031'
    """
    return f"{number:+.3f}".replace("-", "−")


def _list(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _verb(names: list[str], verb: str) -> str:
    return verb if len(names) > 1 else f"{verb}s"
