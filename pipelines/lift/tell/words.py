"""The verdict in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.ask.arms import MAIN_FORMS
from deepfeast.pipelines.lift.measure.stats import corrected_lift
from deepfeast.pipelines.lift.tell.units import in_units

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.comparison import Comparison, Outcome

ALL = "all deep features together"
FORMS = {
    "columns": "as deep columns",
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
    word : {"helps", "hurts", "borderline", "no evidence", "not run"}
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
    """Answer in one line: yes or no, for which model, by how much.

    "Yes" where a feature, or all together, helps one of the models; the error of all verdicts
    together stays below 5 %.
    """
    every = findings(comparison)
    found = [one for one in every if one.feature != ALL]
    another = _another_model(comparison)
    helping = [one for one in every if one.word == "helps"]
    near = [one for one in every if one.word == "borderline" and _mean(one) > 0]
    hurting = list(dict.fromkeys(one.feature for one in found if one.word == "hurts"))
    if helping:
        said = [_yes(comparison, helping), *_rest(found, helping)]
    elif near:
        said = [_borderline(comparison, near)]
    elif hurting:
        worse = f"{_list(hurting)} {_verb(hurting, 'make')} the model worse"
        said = [f"No. {worse}: leave it as it is."]
    else:
        said = ["No evidence that deep features help here."]
        said += [] if another else ["Leave the model as it is."]
    return " ".join([*said, another]).strip()


def _yes(comparison: Comparison, helping: list[Finding]) -> str:
    """Name what helps, the model that gains most, and its gain."""
    names = list(dict.fromkeys(one.feature for one in helping if one.feature != ALL))
    best = max(helping, key=lambda one: _mean(one))
    assert best.outcome is not None
    before = comparison.baseline(best.model)
    size = in_units(comparison.problem, before, best.outcome)
    score = (
        f"{comparison.problem.metric_word} {comparison.before(best.outcome):.3f} → "
        f"{best.outcome.score:.3f}"
    )
    with_ = "" if len(names) == 1 and best.feature == names[0] else f" with {best.feature}"
    gain = f"{best.model}{with_}: {size + ', ' if size else ''}{score}"
    return f"Yes: {_who_helps_whom(helping)}. {gain}."


def _who_helps_whom(helping: list[Finding]) -> str:
    """Name the features that help, and the models that they help, models of one answer together."""
    helped: dict[tuple[str, ...], list[str]] = {}
    for model in dict.fromkeys(one.model for one in helping):
        own = tuple(one.feature for one in helping if one.model == model and one.feature != ALL)
        helped.setdefault(own, []).append(model)
    return "; ".join(
        f"{_list(own)} {_verb(own, 'help')} {_list(models)}"
        if own
        else f"{ALL} help {_list(models)}"
        for own, models in helped.items()
    )


def _rest(found: list[Finding], helping: list[Finding]) -> list[str]:
    """Say of the features that help no model what to do with them."""
    helped = {one.feature for one in helping}
    words: dict[str, set[str]] = {}
    for one in found:
        if one.feature not in helped:
            words.setdefault(one.feature, set()).add(one.word)
    hurting = [name for name, said in words.items() if "hurts" in said]
    near = [name for name, said in words.items() if "borderline" in said and name not in hurting]
    nothing = [name for name in words if name not in [*hurting, *near]]
    parts = []
    if near:
        parts.append(f"Borderline: {_list(near)}.")
    if hurting:
        parts.append(f"{_list(hurting)} {_verb(hurting, 'hurt')}: leave out.")
    if nothing:
        parts.append(f"No evidence for {_list(nothing)}{' alone' if ALL in helped else ''}.")
    return parts


def _another_model(comparison: Comparison) -> str:
    """Say where another model, on the handcrafted columns alone, brings more than deep features.

    Only where the other model is ahead of the best form by more than its 95 % interval.
    """
    models = [name for name in comparison.models if not comparison.baseline(name).failed]
    leader = max(models, key=lambda name: comparison.baseline(name).score, default="")
    ahead = []
    for name in models:
        best = comparison.best(name)
        if name == leader or best is None or best.lift is None:
            continue
        alone, weaker = comparison.baseline(leader).scores, comparison.baseline(name).scores
        count = min(len(best.scores), len(alone))
        gap = corrected_lift(alone[:count] - best.scores[:count], comparison.test_share(count))
        if gap.low > 0:
            brings = signed(float((alone[:count] - weaker[:count]).mean()))
            ahead.append(f"{brings} over {name} (deep features: {signed(best.lift.mean)})")
    if not ahead:
        return ""
    return (
        f"On the handcrafted columns alone, {leader} brings more than deep features do: "
        f"{_list(ahead)}."
    )


def _borderline(comparison: Comparison, near: list[Finding]) -> str:
    names = list(dict.fromkeys(one.feature for one in near))
    models = list(dict.fromkeys(one.model for one in near))
    outcomes = [one.outcome for one in near if one.outcome is not None]
    rows = min((one.needed for one in outcomes if one.needed), default=None)
    splits = min((one.needed_splits for one in outcomes if one.needed_splits), default=None)
    return (
        f"Borderline: {_list(names)} may help {_list(models)}, and other splits of the same rows "
        f"could say yes or no.{_decided(comparison, rows, splits)}"
    )


def _decided(comparison: Comparison, rows: int | None, splits: int | None) -> str:
    """Say what would decide a borderline: more rows, or more splits of these."""
    ways = [f"{rows:,} rows"] if rows else []
    if splits:
        rounds = -(-splits // comparison.first)
        ways.append(f"{splits} splits of the same rows (--most-repeats {rounds})")
    return f" About {' or '.join(ways)} would decide it." if ways else ""


def _mean(finding: Finding) -> float:
    return finding.outcome.lift.mean if finding.outcome and finding.outcome.lift else 0.0


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
    before, form = comparison.before(best), FORMS.get(best.arm.how, best.arm.how)
    size = (
        f"{before:.3f} → {best.score:.3f} {metric} {form}, {signed(lift.mean)} "
        f"(95 % interval {signed(lift.low)} to {signed(lift.high)})"
    )
    text = f"{best.model}: {size}."
    if best.verdict == "helps":
        units = in_units(comparison.problem, comparison.baseline(best.model), best)
        said = f" In other words: {units}." if units else ""
        return text + said + _against_words(comparison, best)
    if best.verdict == "borderline":
        text += " Too near the line to say: other splits of the same rows could turn it."
        advice = _decided(comparison, best.needed, best.needed_splits)
        text += advice and advice[:-1] + ", were the gain as it now seems."
    if best.verdict == "no evidence":
        why = (
            "Luck can explain that"
            if lift.p > 0.05
            else f"Not enough where {comparison.questions} questions are asked at once"
        )
        text += f" {why}; {signed(best.detectable or 0.0)} would have been seen."
    worse = [FORMS.get(o.arm.how, o.arm.how) for o in ran if o.verdict == "hurts" and o is not best]
    return text + (f" {_list(worse).capitalize()} it hurts." if worse else "")


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
    count = min(len(best.scores), len(rivals[0].scores))
    gap = corrected_lift(
        best.scores[:count] - rivals[0].scores[:count], comparison.test_share(count)
    )
    size = f"{signed(gap.mean)}, {signed(gap.low)} to {signed(gap.high)}"
    if gap.low > 0:
        return f" That is more than the words alone give ({size})."
    if gap.high < 0:
        return f" The words alone, by TF-IDF, give more ({size} the other way round)."
    return f" The words alone, by TF-IDF, may do as well (difference {size})."


def signed(number: float) -> str:
    """Write a difference, with a true minus.

    >>> signed(-0.0314)
    '−0.031'
    """
    return f"{number:+.3f}".replace("-", "−")


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _verb(names: Sequence[str], verb: str) -> str:
    return verb if len(names) > 1 else f"{verb}s"
