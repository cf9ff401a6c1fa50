"""What a deep feature responds to in rows that moved: parts of a text or photo are left out."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.errors import DeepfeastError, Reject
from deepfeast.transforms.occlusion.effects import Part, part_effects
from deepfeast.transforms.occlusion.noise import Noise
from deepfeast.transforms.probe import LinearProbe

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.measure.comparison import Comparison
    from deepfeast.pipelines.lift.measure.moved import Moved
    from deepfeast.transforms.encoders.base import Encoder

FEATURES = 3
ROWS = 2
SECONDS = 3.0
# Fewer parts say too little; more are not looked at.
FEWEST, MOST = 4, 12
PATCHES = (3, 5)


@dataclass(frozen=True)
class Responded:
    """What one feature responds to in one row.

    Attributes
    ----------
    feature : str
    row : int
        Position in `Problem.frame`.
    unit : str
        Of prediction and effects: the target, or the score of a class.
    prediction : float
        That of a probe that has not seen the row.
    parts : list of Part
    """

    feature: str
    row: int
    unit: str
    prediction: float
    parts: list[Part]


def telling_features(comparison: Comparison) -> list[str]:
    """Return deep features that help, or may help, one of the models; at most three."""
    found = []
    for verdict in ("helps", "borderline"):
        found += [
            outcome.arm.features[0]
            for outcome in comparison.outcomes
            if outcome.arm.kind == "deep"
            and len(outcome.arm.features) == 1
            and outcome.verdict == verdict
        ]
    return list(dict.fromkeys(found))[:FEATURES]


def find_responses(
    problem: Problem,
    moved: Sequence[Moved],
    features: Sequence[str],
    contents: Mapping[tuple[str, int], str | bytes],
    encoder: Callable[[str], Encoder],
    seconds: Mapping[str, float],
    budget: float = SECONDS,
) -> list[Responded]:
    """Leave out parts of the rows that moved most, two a feature.

    Parameters
    ----------
    contents : mapping of (feature, row) to str or bytes
    encoder : callable
        Returns the encoder of a feature, as its table has it.
    seconds : mapping of str to float
        Time to encode 1,000 values of a feature: it decides how many parts there are. A feature
        whose time is not known is left out, as is one that would take too long.
    budget : float
        Seconds for all.
    """
    started, found = clock.perf_counter(), []
    for feature in features:
        wanted = [
            one.row for model in moved for one in model.rows if (feature, one.row) in contents
        ]
        rows = list(dict.fromkeys(wanted))[:ROWS]
        if not rows or feature not in seconds:
            continue
        each = budget / (ROWS * len(features))
        parts = int(each / max(seconds[feature] / 1000, 1e-6))
        patches = min(PATCHES[1], isqrt(max(0, parts * 3 // 4)))
        try:
            probe, noise = _probe(problem, feature, rows)
            network = encoder(feature)
            for row in rows:
                content = contents[feature, row]
                enough = parts >= FEWEST if isinstance(content, str) else patches >= PATCHES[0]
                if enough and clock.perf_counter() - started < budget:
                    size = {"most": min(MOST, parts), "patches": patches}
                    found += _responded(problem, feature, row, content, network, probe, noise, size)
        except (DeepfeastError, ValueError):
            # Too few rows, or an encoder that is not that of the table: the report does without.
            continue
    return found


def _probe(
    problem: Problem, feature: str, rows: Sequence[int]
) -> tuple[LinearProbe, Callable[[int], Noise]]:
    """Fit the probe of a feature on all rows that have a vector, but those."""
    known = problem.has_vector[feature].copy()
    known[list(rows)] = False
    probe = LinearProbe(task="classification" if problem.classes else "regression")
    groups = None if problem.groups is None else problem.groups[known]
    learned = problem.vectors[feature][known], problem.y[known]
    held_out = probe.fit_transform(*learned, groups=groups)
    return probe, lambda output: Noise.of(probe, *learned, held_out, groups, output)


def _responded(
    problem: Problem,
    feature: str,
    row: int,
    content: str | bytes,
    encoder: Encoder,
    probe: LinearProbe,
    noise: Callable[[int], Noise],
    size: Mapping[str, int],
) -> list[Responded]:
    output, unit = 0, problem.target
    if problem.classes:
        code = int(problem.y[row])
        codes = probe.classes_.tolist()
        if code not in codes:
            return []
        # Two classes share one score, of the second.
        output = codes.index(code) if len(codes) > 2 else 0
        unit = f"score of {problem.classes[code if len(codes) > 2 else codes[1]]}"

    def predict(vectors: Any) -> Any:
        predicted = np.asarray(probe.transform(vectors)[:, output], np.float64)
        return np.exp(predicted) if problem.logged else predicted

    try:
        parts = part_effects(content, encoder, predict, noise=noise(output), **size)
        vector = problem.vectors[feature][row][None]
        return [Responded(feature, row, unit, float(predict(vector)[0]), parts)] if parts else []
    except Reject:
        return []
