"""The lift report: do deep features help a model, by how much, and how sure is that?

From the ground up: `ask` reads the problem and plans the arms, `measure` fits, judges and looks
closer, and holds what it found as plain data, and `tell` says it on the terminal (`show`) and on
a page (`save`). `run` starts from a Feast repo, and `cli` from the shell. The names below load
on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfeast.transforms.late import load

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.ask.question import Question
    from deepfeast.pipelines.lift.measure.comparison import Comparison, Outcome
    from deepfeast.pipelines.lift.measure.result import LiftResult
    from deepfeast.pipelines.lift.measure.work import Progress
    from deepfeast.pipelines.lift.run import run_lift
    from deepfeast.pipelines.lift.tell.pictures import pictures
    from deepfeast.pipelines.lift.tell.save import as_dict, save
    from deepfeast.pipelines.lift.tell.text import show
    from deepfeast.pipelines.lift.verdict import compare

__all__ = [
    "Comparison",
    "LiftResult",
    "Outcome",
    "Progress",
    "Question",
    "as_dict",
    "compare",
    "pictures",
    "run_lift",
    "save",
    "show",
]

_HOME = {
    "Comparison": "measure.comparison",
    "Outcome": "measure.comparison",
    "LiftResult": "measure.result",
    "Progress": "measure.work",
    "Question": "ask.question",
    "as_dict": "tell.save",
    "compare": "verdict",
    "pictures": "tell.pictures",
    "run_lift": "run",
    "save": "tell.save",
    "show": "tell.text",
}


def __getattr__(name: str) -> Any:
    return load(__name__, _HOME, name)
