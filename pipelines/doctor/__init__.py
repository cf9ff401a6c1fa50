"""What is wrong with a Feast repo, or soon will be, and how to mend it.

Each check is one function that yields findings; none of them changes anything. `run` asks them one
after the other. The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfeast.transforms.late import load

if TYPE_CHECKING:
    from deepfeast.pipelines.doctor.findings import Finding, checks, exit_status, render
    from deepfeast.pipelines.doctor.run import diagnose

__all__ = ["Finding", "checks", "diagnose", "exit_status", "render"]
_HOME = {
    "Finding": "findings",
    "checks": "findings",
    "diagnose": "run",
    "exit_status": "findings",
    "render": "findings",
}


def __getattr__(name: str) -> Any:
    return load(__name__, _HOME, name)
