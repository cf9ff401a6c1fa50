"""The lift report: do deep features help a model, by how much, and how sure is that?

From the ground up: `data` reads the problem, `splits` and `arms` plan it, `bench` fits, `stats`
and `comparison` judge, `insights`, `directions` and `leakage` look closer, `result` holds it
all, and `words`, `text`, `plots` and `report` tell it. `run` starts from a Feast repo, and
`cli` from the shell. The names below load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.bench import Progress
    from deepfeast.pipelines.lift.measure.comparison import Comparison, Outcome
    from deepfeast.pipelines.lift.verdict import compare

__all__ = ["Comparison", "Outcome", "Progress", "compare"]

_HOME = {
    "Comparison": "measure.comparison",
    "Outcome": "measure.comparison",
    "Progress": "measure.bench",
    "compare": "verdict",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
