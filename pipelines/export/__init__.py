"""The vectors of an embedding table in the warehouse, for whoever reads them there with SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfeast.transforms.late import load

if TYPE_CHECKING:
    from deepfeast.pipelines.export.answer import Exported
    from deepfeast.pipelines.export.run import export

__all__ = ["Exported", "export"]

_HOME = {"Exported": "answer", "export": "run"}


def __getattr__(name: str) -> Any:
    return load(__name__, _HOME, name)
