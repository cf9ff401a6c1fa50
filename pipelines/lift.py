"""Do deep features help this model, by how much, and how sure is that?

Every arm is fitted on the same splits; what is judged is the difference to the handcrafted
columns alone, split by split.
"""

from __future__ import annotations

import threading
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift_arms import MAIN_FORMS, Arm, Blocks, plan_arms, word_counts
from deepfeast.pipelines.lift_data import Problem, Split, make_splits, read_problem
from deepfeast.pipelines.lift_models import default_models, linear_on_probes, side_by_side
from deepfeast.pipelines.lift_stats import (
    CONFIDENCE,
    Lift,
    Verdict,
    corrected_lift,
    detectable,
    holm,
    simultaneous_reach,
    verdict_of,
)
from deepfeast.transforms.errors import LiftError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

Progress = Callable[[str, int, int], None]
LINEAR = "linear"
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

    def print(self, console: Any = None) -> None:
        """Print the table to the terminal."""
        from deepfeast.pipelines.lift_print import print_comparison

        print_comparison(self, console)


def compare(
    frame: pd.DataFrame,
    target: str,
    groups: str | Sequence[Any] | None = None,
    *,
    feature_groups: Mapping[str, Sequence[str]],
    time: str | None = None,
    handcrafted: Sequence[str] | None = None,
    texts: Mapping[str, Sequence[str | None]] | None = None,
    models: Mapping[str, Any] | None = None,
    task: str | None = None,
    metric: str | None = None,
    log_target: bool = False,
    representations: Sequence[str] = ("raw", "pca", "probe"),
    repeats: int = 2,
    folds: int = 5,
    control: bool = True,
    alone: bool = True,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Score models with and without deep features, and say whether the difference is real.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        A training frame: target, handcrafted columns, and vectors as flat columns.
    target : str
        Column to predict. Rows without it are left out.
    groups : str or array-like of shape (n_rows,), optional
        Rows of one group are never on both sides of a split.
    feature_groups : mapping of str to sequence of str
        Flat columns of each deep feature.
    time : str, optional
        Column of moments: every model is then tested on rows after those it was fitted on.
    handcrafted : sequence of str, optional
        By default every other column of numbers, booleans or few categories.
    texts : mapping of str to sequence of str, optional
        Of each deep feature made of texts, the raw text of each row, for the cheap rival: TF-IDF
        and a truncated SVD.
    models : mapping of str to estimator, optional
        By default XGBoost and a random forest.
    task : {"regression", "binary", "multiclass"}, optional
    metric : str, optional
        A scikit-learn scorer. By default r2, roc_auc or accuracy.
    log_target : bool
        Predict the logarithm.
    representations : sequence of {"raw", "pca", "probe", "pca+probe"}
    repeats, folds : int
        ``repeats * folds`` splits.
    control : bool
        Also run the arm of shuffled vectors, which must show nothing.
    alone : bool
        Also score each embedding alone, under a linear model.
    seed : int
    n_jobs : int, optional
        Splits run side by side, as threads. By default the number of processors, at most 4.
    progress : callable, optional
        Called with what was done, the number of fits done, and their total.

    Returns
    -------
    Comparison

    Raises
    ------
    LiftError
        If the target cannot be compared on: constant, or fewer than 30 rows.
    ColumnNotFound
        If a column is named that the frame lacks.
    """
    problem = read_problem(
        frame,
        target,
        groups,
        feature_groups,
        time=time,
        handcrafted=handcrafted,
        texts=texts,
        task=task,
        metric=metric,
        log_target=log_target,
    )
    arms = plan_arms(
        list(problem.deep),
        representations,
        list(map(str, problem.texts)),
        control=control,
        alone=alone,
    )
    splits = make_splits(problem, repeats, folds, seed)
    return run_arms(
        problem, arms, splits, models, seed=seed, n_jobs=n_jobs, progress=progress, first=folds
    )


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
    _judge(comparison)
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


def _judge(comparison: Comparison) -> None:
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
