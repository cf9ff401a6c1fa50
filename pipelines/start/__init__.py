"""From one table to a first verdict, and from there to a Feast repo: try, init and run.

The names below load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepfeast.pipelines.start.plan import Plan
    from deepfeast.pipelines.start.write import write_data

__all__ = ["Plan", "write_data"]
_HOME = {"Plan": "plan", "write_data": "write"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
