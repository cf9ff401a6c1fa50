"""The whole verdict: the comparison, what lies behind it, its cost and its alarms."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.ask.arms import Arm, plan_arms
from deepfeast.pipelines.lift.ask.models import ready_models
from deepfeast.pipelines.lift.ask.splits import make_rounds
from deepfeast.pipelines.lift.measure.bench import run_arms
from deepfeast.pipelines.lift.measure.contributions import Contribution, Contributions
from deepfeast.pipelines.lift.measure.directions import Direction, directions
from deepfeast.pipelines.lift.measure.insights import (
    CURVE,
    FRACTIONS,
    SHUFFLING,
    CurvePoint,
    Importance,
    importances,
    insight_arm,
    learning_curve,
)
from deepfeast.pipelines.lift.measure.leakage import Alarm, find_alarms
from deepfeast.pipelines.lift.measure.moved import Moved, moved_rows
from deepfeast.pipelines.lift.measure.responses import Responded
from deepfeast.pipelines.lift.measure.segments import Segment, segments
from deepfeast.pipelines.lift.measure.work import Progress, Work
from deepfeast.transforms.cores import cores

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.ask.question import Question
    from deepfeast.pipelines.lift.measure.comparison import Comparison

Contents = Callable[[str, "Sequence[int]"], "list[str | bytes | None]"]


@dataclass(frozen=True)
class Cost:
    """What one deep feature costs: time of a machine and bytes, which are money anywhere.

    Attributes
    ----------
    numbers : int
        Length of a vector.
    kilobytes : float
        1,000 rows in float32.
    seconds : float or None
        Time to encode 1,000 values on one machine; None where nobody measured it.
    cores : int
        Processor cores that it was measured on.
    """

    feature: str
    numbers: int
    kilobytes: float
    seconds: float | None = None
    cores: int = 1

    @property
    def million_hours(self) -> float | None:
        """Hours to encode a million different values on the machine that measured."""
        return None if self.seconds is None else self.seconds * 1000 / 3600

    @property
    def million_core_hours(self) -> float | None:
        """The same in hours of one core, at most: not every core is busy all the time."""
        return None if self.million_hours is None else self.million_hours * self.cores

    @property
    def million_gigabytes(self) -> float:
        """Size of the column for a million rows, in memory; at rest, too, if kept as float32."""
        return self.kilobytes / 1000


@dataclass
class LiftResult:
    """All that a report shows.

    Attributes
    ----------
    comparison : Comparison
    curve : list of CurvePoint
    importance : list of Importance
    directions : list of Direction
    contents : dict of (feature, row) to str or bytes
        Texts and photos of the rows that `directions` and `moved` name.
    costs : list of Cost
    alarms : list of Alarm
    seconds : float
        Time that all of it took.
    source : str
        Name of the data.
    segments : list of Segment
        The gain by category, and by tenth of the target.
    moved : list of Moved
        The rows whose prediction moved most.
    contributions : list of Contribution
        What handcrafted columns and deep features move predictions by, of boosted trees.
    responses : list of Responded
        The parts of texts and photos that features respond to.
    """

    comparison: Comparison
    curve: list[CurvePoint]
    importance: list[Importance]
    directions: list[Direction]
    contents: dict[tuple[str, int], str | bytes]
    costs: list[Cost]
    alarms: list[Alarm]
    seconds: float = 0.0
    source: str = ""
    notes: list[str] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    contributions: list[Contribution] = field(default_factory=list)
    responses: list[Responded] = field(default_factory=list)


def measure_lift(
    problem: Problem,
    question: Question,
    models: Mapping[str, Any] | None = None,
    *,
    contents: Contents | None = None,
    encode_seconds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> LiftResult:
    """Compare the arms, and look at what is behind the lift.

    Parameters
    ----------
    problem : Problem
        As `read_problem` returns it.
    question : Question
    models : mapping of str to estimator or str, optional
        A str names a known model: ``{"LightGBM": "lightgbm"}``. By default XGBoost and a random
        forest.
    contents : callable, optional
        Given a deep feature and rows of the frame that `read_problem` was given, returns the text
        or image bytes of each: what people look at.
    encode_seconds : mapping of str to float, optional
        Seconds to encode 1,000 values of a deep feature.
    progress : callable, optional
        Called with what was done, the share of the time that has passed, and the whole.

    Returns
    -------
    LiftResult
    """
    started = clock.perf_counter()
    seed, work = question.seed, Work(progress)
    models = ready_models(models, bool(problem.classes), seed)
    rounds = make_rounds(problem, question)
    first = len(rounds[0]) if rounds else 0
    work.plan(CURVE, len(FRACTIONS) * first * len(models))
    work.plan(SHUFFLING, first * len(models))
    comparison = run_arms(problem, arms_of(problem, question), rounds, question, models, work)
    inside = insight_arm(comparison)
    runs = {
        name: model
        for name, model in models.items()
        if inside
        and not comparison.baseline(name).failed
        and not comparison.outcome(name, inside.label).failed
    }
    for kind, pieces in ((CURVE, len(FRACTIONS) * first), (SHUFFLING, first)):
        work.plan(kind, -pieces * (len(models) - len(runs)))
    curve = learning_curve(comparison, runs, seed=seed, work=work)
    owed = Contributions(list(problem.deep))
    importance = importances(comparison, runs, seed=seed, work=work, look=owed.add)
    found = directions(problem, seed=seed)
    moved = moved_rows(comparison, seed=seed)
    return LiftResult(
        comparison,
        curve,
        importance,
        found,
        _shown(problem, found, moved, contents) if contents else {},
        [
            Cost(name, len(columns), len(columns) * 4.0, (encode_seconds or {}).get(name), cores())
            for name, columns in problem.deep.items()
        ],
        find_alarms(comparison),
        clock.perf_counter() - started,
        question.name,
        segments=segments(comparison),
        moved=moved,
        contributions=owed.gathered(),
    )


def arms_of(problem: Problem, question: Question) -> list[Arm]:
    """Plan the arms of a question about a problem."""
    return plan_arms(
        list(problem.deep),
        question.representations,
        list(map(str, problem.texts)),
        control=question.control,
        alone=question.alone,
        alternatives=question.alternatives,
    )


def _shown(
    problem: Problem, found: Sequence[Direction], moved: Sequence[Moved], contents: Contents
) -> dict[tuple[str, int], str | bytes]:
    """Fetch the contents of the example rows, feature by feature."""
    rows: dict[str, list[int]] = {}
    for direction in found:
        rows.setdefault(direction.feature, []).extend(one.row for one in direction.examples)
    for feature in problem.deep:
        rows.setdefault(feature, []).extend(one.row for model in moved for one in model.rows)
    shown: dict[tuple[str, int], str | bytes] = {}
    for feature, named in rows.items():
        wanted = list(dict.fromkeys(named))
        values = contents(feature, [int(problem.rows[row]) for row in wanted])
        shown |= {
            (feature, row): value
            for row, value in zip(wanted, values, strict=True)
            if value is not None
        }
    return shown
