"""What lies behind a lift: how it grows with rows, which features carry it, what they look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.leakage import content_codes
from deepfeast.pipelines.lift_arms import BASELINE, MAIN_FORMS, Arm, Blocks
from deepfeast.pipelines.lift_models import side_by_side
from deepfeast.pipelines.lift_stats import Lift, corrected_lift
from deepfeast.transforms.probe import EmbeddingPCA, LinearProbe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift import Comparison
    from deepfeast.pipelines.lift_data import Problem, Split

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


@dataclass(frozen=True)
class Example:
    """One row at an end of a direction: its target, and what the probe said."""

    row: int
    target: Any
    probe: float


@dataclass(frozen=True)
class Direction:
    """The rows whose content raises (or lowers) the prediction most, by one feature's probe.

    Attributes
    ----------
    feature, title : str
        The deep feature, and e.g. ``"raise log(price) most"``.
    strength : float
        Squared correlation of the out-of-fold probe with the target.
    """

    feature: str
    title: str
    strength: float
    examples: list[Example]


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
    if arm is None:
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
    if arm is None:
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


def directions(problem: Problem, *, count: int = 6, seed: int = 0) -> list[Direction]:
    """Find, for each deep feature, the rows that its probe places highest and lowest.

    Returns
    -------
    list of Direction
        Two a feature for numbers and two classes; one a class (at most six) for more.
    """
    found: list[Direction] = []
    for feature, columns in problem.deep.items():
        vectors = problem.frame[columns]
        if vectors.notna().all(axis=1).sum() < 20:
            continue
        task = "classification" if problem.classes else "regression"
        probe = LinearProbe(task=task, random_state=seed)
        held_out = probe.fit_transform(vectors.to_numpy(), problem.y, groups=problem.groups)
        found += _ends(problem, feature, held_out, content_codes(vectors), count)
    return found


def _ends(
    problem: Problem, feature: str, held_out: Any, codes: NDArray[np.int64], count: int
) -> list[Direction]:
    if held_out.shape[1] > 1:
        per_class = max(3, count // 2)
        return [
            Direction(
                feature,
                f"look most like {label}",
                _r2(held_out[:, code], problem.y == code),
                _pick(problem, held_out[:, code], codes, per_class),
            )
            for code, label in enumerate(problem.classes[:6])
        ]
    column = held_out[:, 0]
    strength = _r2(column, problem.y)
    what = f"speak for {problem.classes[1]}" if problem.classes else f"raise {problem.target}"
    against = f"speak for {problem.classes[0]}" if problem.classes else f"lower {problem.target}"
    return [
        Direction(feature, f"{what} most", strength, _pick(problem, column, codes, count)),
        Direction(feature, f"{against} most", strength, _pick(problem, -column, codes, count, -1)),
    ]


def _pick(
    problem: Problem, column: NDArray[Any], codes: NDArray[np.int64], count: int, sign: int = 1
) -> list[Example]:
    """Take the highest rows, each content once."""
    examples: list[Example] = []
    seen: set[int] = set()
    for row in np.argsort(-np.where(np.isnan(column), -np.inf, column), kind="stable"):
        if len(examples) == count or np.isnan(column[row]):
            break
        if codes[row] not in seen:
            seen.add(codes[row])
            examples.append(Example(int(row), problem.shown_target(row), float(sign * column[row])))
    return examples


def _r2(column: NDArray[Any], target: Any) -> float:
    known = np.isfinite(column)
    if np.std(column[known]) == 0 or np.std(np.asarray(target, float)[known]) == 0:
        return 0.0
    return float(np.corrcoef(column[known], np.asarray(target, float)[known])[0, 1] ** 2)


def flat_map(problem: Problem, feature: str) -> tuple[NDArray[np.float64], NDArray[np.intp], float]:
    """Lay one embedding out in two dimensions, its first principal components.

    Returns
    -------
    points : ndarray of shape (n_present, 2)
    rows : ndarray of shape (n_present,)
        The rows that have a vector.
    share : float
        Share of the variance that the map shows.
    """
    vectors = problem.frame[problem.deep[feature]]
    rows = np.flatnonzero(vectors.notna().all(axis=1).to_numpy())
    pca = EmbeddingPCA(2).fit(vectors.to_numpy())
    points = pca.transform(vectors.to_numpy())[rows]
    return points, rows, float(pca.pca_.explained_variance_ratio_.sum())
