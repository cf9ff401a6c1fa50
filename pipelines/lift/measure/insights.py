"""What lies behind a lift: how it grows with rows, which features carry it, what they look at."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.ask.arms import BASELINE, MAIN_FORMS, Arm
from deepfeast.pipelines.lift.ask.models import side_by_side
from deepfeast.pipelines.lift.measure.blocks import Blocks, Pair
from deepfeast.pipelines.lift.measure.stats import Lift, corrected_lift
from deepfeast.pipelines.lift.measure.work import Work

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.splits import Split
    from deepfeast.pipelines.lift.measure.comparison import Comparison

FRACTIONS = (0.15, 0.3, 0.6)
SHUFFLES = 3
CURVE, SHUFFLING = "learning curve", "importance"


@dataclass(frozen=True)
class CurvePoint:
    """Lift of one model on so many training rows."""

    model: str
    rows: int
    baseline: float
    score: float
    lift: Lift


@dataclass(frozen=True)
class Importance:
    """How much a model's score falls when one feature is shuffled among the test rows.

    Attributes
    ----------
    feature : str
        A handcrafted column, or a whole embedding.
    deep : bool
    drop, spread : float
        Mean and standard deviation over the splits.
    """

    model: str
    feature: str
    deep: bool
    drop: float
    spread: float


def insight_arm(comparison: Comparison) -> Arm | None:
    """Choose the arm to look behind: all deep features, in their main form.

    Chosen by its form and never by its score, which would flatter it.
    """
    arms = {o.arm.label: o.arm for o in comparison.outcomes if o.arm.kind == "deep"}
    broad = [arm for arm in arms.values() if len(arm.features) > 1] or list(arms.values())
    for how in MAIN_FORMS:
        for arm in broad:
            if arm.how == how:
                return arm
    return None


def learning_curve(
    comparison: Comparison,
    models: Mapping[str, Any],
    fractions: Sequence[float] = FRACTIONS,
    *,
    seed: int = 0,
    work: Work,
) -> list[CurvePoint]:
    """Measure the lift of `insight_arm` on parts of the first round's training rows.

    The last point is known.

    Returns
    -------
    list of CurvePoint
        By model, then by rows. Sizes on which a model fails are left out.
    """
    arm = insight_arm(comparison)
    if arm is None or not models:
        return []
    points: list[CurvePoint] = []
    first = comparison.splits[: comparison.first]
    for fraction in fractions:
        smaller = [_part(split, fraction, seed + k) for k, split in enumerate(first)]
        if min(len(train) for train, _ in smaller) < 20:
            work.plan(CURVE, -len(first) * len(models))
            continue
        scores = _scores(comparison, smaller, models, (Arm(BASELINE, "baseline"), arm), seed, work)
        points += _points(scores, smaller)
    known = {
        model: tuple(
            outcome.scores[: len(first)]
            for outcome in (comparison.baseline(model), comparison.outcome(model, arm.label))
        )
        for model in comparison.models
    }
    points += _points(known, first)
    return sorted(points, key=lambda point: (list(models).index(point.model), point.rows))


def _part(split: Split, fraction: float, seed: int) -> Split:
    train, test = split
    rows = np.random.default_rng(seed).permutation(train)[: int(len(train) * fraction)]
    return np.sort(rows), test


def _scores(
    comparison: Comparison,
    splits: Sequence[Split],
    models: Mapping[str, Any],
    arms: Sequence[Arm],
    seed: int,
    work: Work,
) -> dict[str, tuple[NDArray[Any], ...]]:
    """Score each model on each arm, all on the same splits."""
    from sklearn.metrics import get_scorer

    problem = comparison.problem
    scorer = get_scorer(problem.metric)

    def run(split: Split) -> list[list[float]]:
        blocks = Blocks(problem, split, comparison.words, seed)
        rows = []
        for model in models.values():
            row = []
            started = clock.perf_counter()
            for arm in arms:
                try:
                    row.append(_scored(scorer, model, blocks, blocks.of(arm))[2])
                except Exception:
                    # Too few rows for this model: the curve starts further right.
                    row.append(np.nan)
            rows.append(row)
            work.tick(CURVE, clock.perf_counter() - started)
        return rows

    table = np.array(side_by_side(run, splits))
    return {
        model: tuple(table[:, position, arm] for arm in range(len(arms)))
        for position, model in enumerate(models)
    }


def _scored(scorer: Any, model: Any, blocks: Blocks, columns: Pair) -> tuple[Any, Any, float]:
    """Fit and score; return the tested columns, too, as the model took them."""
    from sklearn.base import clone

    train, test = (blocks.problem.y[rows] for rows in blocks.split)

    def run(columns: Pair) -> tuple[Any, Any, float]:
        estimator = clone(model).fit(columns[0], train)
        return estimator, columns[1], float(scorer(estimator, columns[1], test))

    return blocks.run(run, columns)[0]


def _points(
    scores: Mapping[str, tuple[NDArray[Any], ...]], splits: Sequence[Split]
) -> list[CurvePoint]:
    rows = int(np.mean([len(train) for train, _ in splits]))
    share = float(np.mean([len(test) / len(train) for train, test in splits]))
    return [
        CurvePoint(
            model,
            rows,
            float(base.mean()),
            float(deep.mean()),
            corrected_lift(deep - base, share),
        )
        for model, (base, deep) in scores.items()
        if np.isfinite(base).all() and np.isfinite(deep).all()
    ]


def importances(
    comparison: Comparison,
    models: Mapping[str, Any],
    *,
    seed: int = 0,
    work: Work,
    look: Callable[[str, Any, Any, Mapping[str, list[str]]], None] | None = None,
) -> list[Importance]:
    """Shuffle one feature at a time among the first round's test rows.

    A whole embedding is one feature.

    Parameters
    ----------
    look : callable, optional
        Given each fitted model while it is at hand: its name, itself, the tested columns, and the
        columns of each feature.

    Returns
    -------
    list of Importance
        By model, the strongest first.
    """
    from sklearn.metrics import get_scorer

    arm = insight_arm(comparison)
    if arm is None or not models:
        return []
    problem, scorer = comparison.problem, get_scorer(comparison.problem.metric)

    def run(split: Split) -> dict[tuple[str, str], float]:
        blocks, (_, test) = Blocks(problem, split, comparison.words, seed), split
        columns = blocks.of(arm)
        groups = {name: [name] for name in problem.handcrafted}
        for feature in arm.features:
            parts = [blocks.block(*key)[0].columns for key in blocks.keys(arm) if key[0] == feature]
            groups[feature] = [name for part in parts for name in part]
        drops = {}
        for name, model in models.items():
            started = clock.perf_counter()
            try:
                estimator, tested, whole = _scored(scorer, model, blocks, columns)
                for feature, names in groups.items():
                    drops[name, feature] = whole - _shuffled_score(
                        scorer, estimator, tested, problem.y[test], names, seed
                    )
                if look is not None:
                    look(name, estimator, tested, groups)
            except Exception:
                # A model that fails has said so in the comparison already.
                continue
            finally:
                work.tick(SHUFFLING, clock.perf_counter() - started)
        return drops

    runs = side_by_side(run, comparison.splits[: comparison.first])
    found = []
    for name, feature in dict.fromkeys(key for one in runs for key in one):
        drops = np.array([one[name, feature] for one in runs if (name, feature) in one])
        deep = feature in problem.deep
        found.append(Importance(name, feature, deep, float(drops.mean()), float(drops.std())))
    order = list(models)
    return sorted(found, key=lambda one: (order.index(one.model), -one.drop))


def _shuffled_score(
    scorer: Any, estimator: Any, tested: Any, y: Any, names: list[str], seed: int
) -> float:
    scores = []
    for shuffle in range(SHUFFLES):
        order = np.random.default_rng(seed + shuffle).permutation(len(tested))
        mixed = tested.copy()
        for name in names:
            mixed[name] = tested[name].array.take(order)
        scores.append(scorer(estimator, mixed, y))
    return float(np.mean(scores))
