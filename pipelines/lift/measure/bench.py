"""Every model on every arm and split: the fits themselves."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.ask.arms import Arm
from deepfeast.pipelines.lift.ask.models import linear_on_probes, ready_models, side_by_side
from deepfeast.pipelines.lift.measure.blocks import Blocks, Pair, word_counts
from deepfeast.pipelines.lift.measure.comparison import LINEAR, Comparison, Outcome, look
from deepfeast.pipelines.lift.measure.looks import Look, plan_looks
from deepfeast.pipelines.lift.measure.work import Work
from deepfeast.transforms.errors import LiftError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.ask.question import Question
    from deepfeast.pipelines.lift.ask.splits import Split

# Every number of a vector: slow to fit, and seldom the form that is taken. It gets no more splits
# where it lost on the first two, nor after the first look that may settle something.
COSTLY = ("raw",)
PREVIEW = 2


def run_arms(
    problem: Problem,
    arms: Sequence[Arm],
    rounds: Sequence[Sequence[Split]],
    question: Question,
    models: Mapping[str, Any] | None = None,
    work: Work | None = None,
) -> Comparison:
    """Fit every model on every arm, look, and go on with the arms that are not clear.

    Parameters
    ----------
    rounds : sequence of sequences of (train, test)
        The splits of each round of folds; rows in time have one round.
    """
    started = clock.perf_counter()
    drawn = [split for splits in rounds for split in splits]
    if len(drawn) < 2:
        raise LiftError(f"{len(drawn)} split: an interval needs at least 2. Ask for more folds.")
    classify = bool(problem.classes)
    asked = ready_models(models, classify, question.seed)
    pairs = [(name, arm) for arm in arms for name in asked if arm.kind != "alone"]
    pairs += [(LINEAR, arm) for arm in arms if arm.kind == "alone"]
    asked[LINEAR] = linear_on_probes(classify)
    words = word_counts(problem.texts)
    looks = plan_looks(min(question.repeats, len(rounds)), min(question.most_repeats, len(rounds)))
    bench = _Bench(problem, asked, pairs, words, question.seed, work or Work())
    comparison = Comparison(problem, [], [], len(rounds[0]), words)
    fits: list[list[_Fit]] = [[] for _ in pairs]
    active, settled = set(range(len(pairs))), set[int]()
    main = next(one for one in looks if one.spends)
    lost = set[int]()

    def draw(splits: Sequence[Split]) -> None:
        done = len(comparison.splits)
        runs = side_by_side(
            lambda one: bench.run_split(one, splits[one - done], active, len(rounds[0])),
            range(done, done + len(splits)),
            question.n_jobs,
        )
        for run in runs:
            for position, fit in run.items():
                fits[position].append(fit)
        comparison.splits += splits

    for number, now in enumerate(looks):
        splits = [split for drawn in rounds[: now.rounds] for split in drawn]
        splits = splits[len(comparison.splits) :]
        bench.plan(active, len(splits))
        if number == 0 and len(splits) > PREVIEW:
            draw(splits[:PREVIEW])
            splits = splits[PREVIEW:]
            lost = _without_promise(pairs, fits)
            bench.plan(lost, -len(splits))
            active -= lost
        draw(splits)
        comparison.outcomes = _outcomes(pairs, fits, problem, comparison.outcomes)
        worth = look(comparison, now, looks[-1], settled)
        active = _next_active(pairs, worth - lost, now, main)
        if not active and number < len(looks) - 1:
            look(comparison, looks[-1], looks[-1], settled)
            break
    comparison.notes += [
        f"{model} takes no NaN: rows without a vector got the mean of the training rows."
        for model in sorted(bench.filled)
    ]
    comparison.seconds = clock.perf_counter() - started
    return comparison


def _without_promise(pairs: Sequence[tuple[str, Arm]], fits: Sequence[Sequence[_Fit]]) -> set[int]:
    """Return the costly arms that gained nothing so far, on average over their splits."""
    before = {
        model: fits[position]
        for position, (model, arm) in enumerate(pairs)
        if arm.kind == "baseline"
    }
    return {
        position
        for position, (model, arm) in enumerate(pairs)
        if arm.how in COSTLY
        and all(
            fit.score <= base.score for fit, base in zip(fits[position], before[model], strict=True)
        )
    }


def _next_active(
    pairs: Sequence[tuple[str, Arm]], worth: set[int], now: Look, main: Look
) -> set[int]:
    """Return the pairs that get more splits, the handcrafted columns of their models included."""
    before = now.rounds < main.rounds
    active = {
        position
        for position, (_, arm) in enumerate(pairs)
        if (position in worth and (before or arm.how not in COSTLY))
        or (before and arm.kind in ("control", "alone", "baseline"))
    }
    models = {pairs[position][0] for position in active}
    return active | {
        position
        for position, (model, arm) in enumerate(pairs)
        if arm.kind == "baseline" and model in models
    }


@dataclass
class _Fit:
    """One model fitted on one arm in one split."""

    score: float = float("nan")
    fit_seconds: float = 0.0
    predict_seconds: float = 0.0
    columns: int = 0
    test: NDArray[np.intp] | None = None
    predicted: NDArray[Any] | None = None
    failed: str = ""


@dataclass
class _Bench:
    """All that a split needs in order to be run."""

    problem: Problem
    models: Mapping[str, Any]
    pairs: Sequence[tuple[str, Arm]]
    words: Mapping[str, Any]
    seed: int
    work: Work
    filled: set[str] = field(default_factory=set)

    def plan(self, active: set[int], splits: int) -> None:
        for position in active:
            model, arm = self.pairs[position]
            self.work.plan(f"{model}: {arm.label}", splits)

    def run_split(self, number: int, split: Split, active: set[int], first: int) -> dict[int, _Fit]:
        blocks = Blocks(self.problem, split, self.words, self.seed)
        fits = {}
        for position in sorted(active):
            model, arm = self.pairs[position]
            started = clock.perf_counter()
            fits[position] = self.run(blocks, model, arm, number < first)
            self.work.tick(f"{model}: {arm.label}", clock.perf_counter() - started)
        return fits

    def run(self, blocks: Blocks, model: str, arm: Arm, keep: bool) -> _Fit:
        """Fit and score; an arm that cannot be fitted says why, and the others go on."""
        try:
            fit, filled = blocks.run(
                lambda columns: self._fit(blocks, model, columns, keep), blocks.of(arm)
            )
        except Exception as error:
            # Anything may be wrong with a model that is not ours; its arm reports it.
            return _Fit(failed=f"{type(error).__name__}: {_first_line(error)}")
        if filled:
            self.filled.add(model)
        fit.fit_seconds += sum(blocks.seconds.get(key, 0.0) for key in blocks.keys(arm))
        return fit

    def _fit(self, blocks: Blocks, model: str, columns: Pair, keep: bool) -> _Fit:
        from sklearn.base import clone
        from sklearn.metrics import get_scorer

        train, test = blocks.split
        started = clock.perf_counter()
        estimator = clone(self.models[model]).fit(columns[0], self.problem.y[train])
        fitted = clock.perf_counter()
        score = get_scorer(self.problem.metric)(estimator, columns[1], self.problem.y[test])
        scored = clock.perf_counter()
        return _Fit(
            float(score),
            fitted - started,
            scored - fitted,
            columns[0].shape[1],
            test,
            estimator.predict(columns[1]) if keep else None,
            "" if np.isfinite(score) else f"the {self.problem.metric} of a split is {score}",
        )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no more is said"


def _outcomes(
    pairs: Sequence[tuple[str, Arm]],
    fits: Sequence[Sequence[_Fit]],
    problem: Problem,
    before: Sequence[Outcome],
) -> list[Outcome]:
    """Gather the fits; what an earlier look has settled, and got no more splits, stays."""
    return [
        before[position]
        if before and len(before[position].scores) == len(fits[position])
        else _gather(model, arm, fits[position], problem)
        for position, (model, arm) in enumerate(pairs)
    ]


def _gather(model: str, arm: Arm, fits: Sequence[_Fit], problem: Problem) -> Outcome:
    predictions = np.full(len(problem.y), np.nan)
    for fit in fits:
        if fit.predicted is not None:
            predictions[fit.test] = np.asarray(fit.predicted, dtype=float)
    return Outcome(
        model,
        arm,
        np.array([fit.score for fit in fits]),
        float(np.mean([fit.fit_seconds for fit in fits])),
        float(np.mean([fit.predict_seconds for fit in fits])),
        predictions,
        fits[0].columns,
        float(np.mean([0 if fit.test is None else len(fit.test) for fit in fits])),
        next((fit.failed for fit in fits if fit.failed), ""),
    )
