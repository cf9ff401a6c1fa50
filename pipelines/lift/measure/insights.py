"""What lies behind a lift: how it grows with rows, which features carry it, what they look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.ask.arms import BASELINE, MAIN_FORMS, Arm, Blocks
from deepfeast.pipelines.lift.ask.models import side_by_side
from deepfeast.pipelines.lift.measure.stats import Lift, corrected_lift

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.ask.splits import Split
    from deepfeast.pipelines.lift.measure.comparison import Comparison

FRACTIONS = (0.15, 0.3, 0.6)
SHUFFLES = 3
Tick = Callable[[str], None]


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
    """Choose the arm to look behind: all deep features, as probes where there are any.

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
    tick: Tick = lambda what: None,
) -> list[CurvePoint]:
    """Measure the lift of `insight_arm` on parts of the training rows; the last point is known.

    Returns
    -------
    list of CurvePoint
        By model, then by rows. Sizes on which a model fails are left out.
    """
    arm = insight_arm(comparison)
    if arm is None or not models:
        return []
    problem, points = comparison.problem, []
    for fraction in fractions:
        smaller = [_part(split, fraction, seed + k) for k, split in enumerate(comparison.splits)]
        if min(len(train) for train, _ in smaller) < 20:
            continue
        scores = _scores(problem, smaller, models, (Arm(BASELINE, "baseline"), arm), seed, tick)
        points += _points(scores, smaller)
    known = {
        model: (comparison.baseline(model).scores, comparison.outcome(model, arm.label).scores)
        for model in comparison.models
    }
    points += _points(known, comparison.splits)
    return sorted(points, key=lambda point: (list(models).index(point.model), point.rows))


def _part(split: Split, fraction: float, seed: int) -> Split:
    train, test = split
    rows = np.random.default_rng(seed).permutation(train)[: int(len(train) * fraction)]
    return np.sort(rows), test


def _scores(
    problem: Problem,
    splits: Sequence[Split],
    models: Mapping[str, Any],
    arms: Sequence[Arm],
    seed: int,
    tick: Tick,
) -> dict[str, tuple[NDArray[Any], ...]]:
    """Score each model on each arm, all on the same splits."""
    from sklearn.base import clone
    from sklearn.metrics import get_scorer

    scorer = get_scorer(problem.metric)

    def run(split: Split) -> list[list[float]]:
        blocks, (train, test) = Blocks(problem, split, {}, seed), split
        rows = []
        for name, model in models.items():
            row = []
            for arm in arms:
                try:
                    fitted, tested = blocks.of(arm)
                    estimator = clone(model).fit(fitted, problem.y[train])
                    row.append(float(scorer(estimator, tested, problem.y[test])))
                except Exception:
                    # Too few rows for this model: the curve starts further right.
                    row.append(np.nan)
            rows.append(row)
            tick(f"learning curve, {len(train)} rows: {name}")
        return rows

    table = np.array(side_by_side(run, splits))
    return {
        model: tuple(table[:, position, arm] for arm in range(len(arms)))
        for position, model in enumerate(models)
    }


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
    folds: int,
    seed: int = 0,
    tick: Tick = lambda what: None,
) -> list[Importance]:
    """Shuffle one feature at a time among the test rows; a whole embedding is one feature.

    Returns
    -------
    list of Importance
        By model, the strongest first.
    """
    from sklearn.base import clone
    from sklearn.metrics import get_scorer

    arm = insight_arm(comparison)
    if arm is None or not models:
        return []
    problem, scorer = comparison.problem, get_scorer(comparison.problem.metric)

    def run(split: Split) -> dict[tuple[str, str], float]:
        blocks, (train, test) = Blocks(problem, split, {}, seed), split
        columns, tested = blocks.of(arm)
        groups = {name: [name] for name in problem.handcrafted}
        for feature in arm.features:
            parts = [blocks.block(*key)[0].columns for key in arm.blocks if key[0] == feature]
            groups[feature] = [name for part in parts for name in part]
        drops = {}
        for name, model in models.items():
            try:
                estimator = clone(model).fit(columns, problem.y[train])
                whole = scorer(estimator, tested, problem.y[test])
                for feature, names in groups.items():
                    drops[name, feature] = whole - _shuffled_score(
                        scorer, estimator, tested, problem.y[test], names, seed
                    )
            except Exception:
                # A model that fails has said so in the comparison already.
                continue
            finally:
                tick(f"importance: {name}")
        return drops

    runs = side_by_side(run, comparison.splits[:folds])
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
