"""What an embedding looks at: the rows at the ends of what a probe learned, and a map of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.ask.models import side_by_side
from deepfeast.pipelines.lift.measure.leakage import content_codes
from deepfeast.transforms.probe import EmbeddingPCA, LinearProbe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem


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


def directions(problem: Problem, *, count: int = 6, seed: int = 0) -> list[Direction]:
    """Find, for each deep feature, the rows that its probe places highest and lowest.

    Returns
    -------
    list of Direction
        Two a feature for numbers and two classes; one a class (at most six) for more.
    """

    def look_at(feature: str) -> list[Direction]:
        vectors = problem.frame[problem.deep[feature]]
        if vectors.notna().all(axis=1).sum() < 20:
            return []
        task = "classification" if problem.classes else "regression"
        probe = LinearProbe(task=task, random_state=seed)
        held_out = probe.fit_transform(vectors.to_numpy(), problem.y, groups=problem.groups)
        return _ends(problem, feature, held_out, content_codes(vectors), count)

    return [one for found in side_by_side(look_at, list(problem.deep)) for one in found]


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
    what = f"speak for {problem.classes[1]}" if problem.classes else f"raise {problem.goal}"
    against = f"speak for {problem.classes[0]}" if problem.classes else f"lower {problem.goal}"
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
