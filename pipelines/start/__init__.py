"""From one table to a first verdict, and from there to a Feast repo: try, init and run.

The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfeast.transforms.late import load

if TYPE_CHECKING:
    from deepfeast.pipelines.start.plan import Plan
    from deepfeast.pipelines.start.write import write_data

__all__ = ["Plan", "write_data"]
_HOME = {"Plan": "plan", "write_data": "write"}


def __getattr__(name: str) -> Any:
    return load(__name__, _HOME, name)
