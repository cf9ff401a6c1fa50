"""The vectors of an embedding table in the warehouse, for whoever reads them there with SQL."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepfeast.pipelines.export.answer import Exported
    from deepfeast.pipelines.export.run import export

__all__ = ["Exported", "export"]

_HOME = {"Exported": "answer", "export": "run"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
