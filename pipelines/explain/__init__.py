"""What a deep feature responds to: the sentences of a text and the regions of a photo.

The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfeast.transforms.late import load

if TYPE_CHECKING:
    from deepfeast.pipelines.explain.answer import Explained, Response
    from deepfeast.pipelines.explain.run import explain

__all__ = ["Explained", "Response", "explain"]

_HOME = {"Explained": "answer", "Response": "answer", "explain": "run"}


def __getattr__(name: str) -> Any:
    return load(__name__, _HOME, name)
