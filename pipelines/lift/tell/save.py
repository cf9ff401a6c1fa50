"""The result on disk: a page for people, and every split's score for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.measure.errors import error_unit
from deepfeast.pipelines.lift.tell.page import render
from deepfeast.pipelines.lift.tell.words import findings, headline

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.measure.comparison import Outcome
    from deepfeast.pipelines.lift.measure.moved import Moved
    from deepfeast.pipelines.lift.measure.result import LiftResult


def save(result: LiftResult, folder: Path | str) -> tuple[Path, Path]:
    """Write ``lift.html`` and ``lift.json`` into a folder, which is made if need be.

    Returns
    -------
    tuple of (Path, Path)
        The page and the data.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "lift.html", folder / "lift.json"
    page.write_text(render(result), encoding="utf-8")
    data.write_text(json.dumps(as_dict(result), indent=1), encoding="utf-8")
    return page, data


def as_dict(result: LiftResult) -> dict[str, Any]:
    """Return everything but photos as plain values, every split's score included."""
    comparison, problem = result.comparison, result.comparison.problem
    return {
        "verdict": headline(comparison),
        "findings": [
            {"feature": f.feature, "model": f.model, "verdict": f.word, "text": f.sentence}
            for f in findings(comparison)
        ],
        "target": problem.goal,
        "task": problem.task,
        "metric": problem.metric,
        "rows": len(problem.y),
        "classes": [str(name) for name in problem.classes],
        "handcrafted": problem.handcrafted,
        "deep": {name: len(columns) for name, columns in problem.deep.items()},
        "splits": [{"train": len(a), "test": len(b)} for a, b in comparison.splits],
        "questions": comparison.questions,
        "arms": [_arm(outcome) for outcome in comparison.outcomes],
        "learning_curve": [asdict(point) for point in result.curve],
        "importance": [asdict(one) for one in result.importance],
        "segments": [asdict(segment) for segment in result.segments],
        "segments_unit": error_unit(problem),
        "moved": [_moved(one, problem) for one in result.moved],
        "contributions": [asdict(one) for one in result.contributions],
        "responses": [
            asdict(one) | {"row": int(problem.rows[one.row])} for one in result.responses
        ],
        "costs": [
            asdict(cost)
            | {"million_hours": cost.million_hours, "million_gigabytes": cost.million_gigabytes}
            for cost in result.costs
        ],
        "alarms": [asdict(alarm) for alarm in result.alarms],
        "name": result.source,
        "notes": [*problem.notes, *comparison.notes, *result.notes],
        "seconds": round(result.seconds, 2),
    }


def _moved(moved: Moved, problem: Problem) -> dict[str, Any]:
    """Name rows by their position in the labels."""
    body = asdict(moved)
    for row in body["rows"]:
        row["row"] = int(problem.rows[row["row"]])
    return body


def _arm(outcome: Outcome) -> dict[str, Any]:
    return {
        "model": outcome.model,
        "arm": outcome.arm.label,
        "kind": outcome.arm.kind,
        "features": list(outcome.arm.features),
        "how": outcome.arm.how,
        "columns": outcome.columns,
        "scores": [None if score != score else float(score) for score in outcome.scores],
        "score": None if outcome.failed else outcome.score,
        "lift": asdict(outcome.lift) if outcome.lift else None,
        "adjusted_p": outcome.adjusted_p,
        "verdict": outcome.verdict,
        "detectable": outcome.detectable,
        "rows_needed": outcome.needed,
        "splits_needed": outcome.needed_splits,
        "fit_seconds": outcome.fit_seconds,
        "predict_seconds": outcome.predict_seconds,
        "failed": outcome.failed or None,
    }
