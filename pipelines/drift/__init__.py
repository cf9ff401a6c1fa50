"""What has changed between two windows of time, and whether it is more than luck.

The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfeast.transforms.late import load

if TYPE_CHECKING:
    from deepfeast.pipelines.drift.answer import Drift, Unusual, Verdict
    from deepfeast.pipelines.drift.run import drift

__all__ = ["Drift", "Unusual", "Verdict", "drift"]

_HOME = {"Drift": "answer", "Verdict": "answer", "Unusual": "answer", "drift": "run"}


def __getattr__(name: str) -> Any:
    return load(__name__, _HOME, name)
