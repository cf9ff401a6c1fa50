"""Every model on every arm and split: the fits themselves."""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.ask.arms import Arm, Blocks, word_counts
from deepfeast.pipelines.lift.ask.models import default_models, linear_on_probes, side_by_side
from deepfeast.pipelines.lift.measure.comparison import LINEAR, Comparison, Outcome, judge
from deepfeast.transforms.errors import LiftError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.ask.splits import Split

Progress = Callable[[str, int, int], None]


def run_arms(
    problem: Problem,
    arms: Sequence[Arm],
    splits: Sequence[Split],
    models: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: Progress | None = None,
    first: int | None = None,
) -> Comparison:
    """Fit every model on every arm and split, and judge the arms.

    Parameters
    ----------
    first : int, optional
        Predictions are kept of so many splits, which together test each row once.
    """
    started = clock.perf_counter()
    if len(splits) < 2:
        raise LiftError(f"{len(splits)} split: an interval needs at least 2. Ask for more folds.")
    classify = bool(problem.classes)
    asked = dict(models) if models else default_models(classify, seed)
    pairs = [(name, arm) for arm in arms for name in asked if arm.kind != "alone"]
    pairs += [(LINEAR, arm) for arm in arms if arm.kind == "alone"]
    asked[LINEAR] = linear_on_probes(classify)
    counts = word_counts(problem.texts)
    bench = _Bench(problem, asked, pairs, counts, seed, _Ticker(progress, len(pairs) * len(splits)))
    kept = first or len(splits)
    runs = side_by_side(
        lambda one: bench.run_split(splits[one], one < kept), range(len(splits)), n_jobs
    )
    outcomes = [
        _gather(model, arm, [run[position] for run in runs], problem)
        for position, (model, arm) in enumerate(pairs)
    ]
    comparison = Comparison(problem, list(splits), outcomes)
    judge(comparison)
    comparison.notes += [
        f"{model} takes no NaN: rows without a vector got the mean of the training rows."
        for model in sorted(bench.filled)
    ]
    comparison.seconds = clock.perf_counter() - started
    return comparison


@dataclass
class _Ticker:
    """Counts fits, from several threads, for a progress bar."""

    report: Progress | None
    total: int
    done: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def tick(self, what: str) -> None:
        with self.lock:
            self.done += 1
            if self.report:
                self.report(what, self.done, self.total)


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
    counts: Mapping[str, Any]
    seed: int
    ticker: _Ticker
    filled: set[str] = field(default_factory=set)

    def run_split(self, split: Split, keep: bool) -> list[_Fit]:
        blocks = Blocks(self.problem, split, self.counts, self.seed)
        fits = []
        for model, arm in self.pairs:
            fits.append(self.run(blocks, model, arm, keep))
            self.ticker.tick(f"{model}: {arm.label}")
        return fits

    def run(self, blocks: Blocks, model: str, arm: Arm, keep: bool) -> _Fit:
        """Fit and score; an arm that cannot be fitted says why, and the others go on."""
        from sklearn.base import clone
        from sklearn.metrics import get_scorer

        train, test = blocks.split
        try:
            columns, test_columns = blocks.of(arm)
            started = clock.perf_counter()
            y = self.problem.y[train]
            try:
                estimator = clone(self.models[model]).fit(columns, y)
            except ValueError as error:
                if "NaN" not in str(error):
                    raise
                columns, test_columns = blocks.filled(columns, test_columns)
                estimator = clone(self.models[model]).fit(columns, y)
                self.filled.add(model)
            fitted = clock.perf_counter()
            score = get_scorer(self.problem.metric)(estimator, test_columns, self.problem.y[test])
            scored = clock.perf_counter()
            predicted = estimator.predict(test_columns) if keep else None
        except Exception as error:
            # Anything may be wrong with a model that is not ours; its arm reports it.
            return _Fit(
                failed=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
            )
        making = sum(blocks.seconds.get(key, 0.0) for key in arm.blocks)
        return _Fit(
            float(score),
            making + fitted - started,
            scored - fitted,
            columns.shape[1],
            test,
            predicted,
            "" if np.isfinite(score) else f"the {self.problem.metric} of a split is {score}",
        )


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
