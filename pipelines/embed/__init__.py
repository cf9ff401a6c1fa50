"""From raw tables to embedding tables: the embed job, step by step.

The names below load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfeast.transforms.late import load

if TYPE_CHECKING:
    from deepfeast.pipelines.embed.forecasting import Forecast, forecast
    from deepfeast.pipelines.embed.job import Run
    from deepfeast.pipelines.embed.run import embed

__all__ = ["Forecast", "Run", "embed", "forecast"]
_HOME = {"Forecast": "forecasting", "Run": "job", "embed": "run", "forecast": "forecasting"}


def __getattr__(name: str) -> Any:
    return load(__name__, _HOME, name)
