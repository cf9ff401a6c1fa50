"""What runs did, as a Prometheus text file: for the textfile collector of node_exporter.

The file holds the last run of each view and appears whole or not at all. A run that fails leaves it
as it was, so that its ``last_success_timestamp_seconds`` grows old: that is what to alert on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

COUNTS = {
    "source_rows": "Rows of the source",
    "rows": "Rows written because they were new",
    "encoded": "Contents that went through an encoder",
    "reused": "Contents whose vector was there already",
    "missing": "Cells without content",
    "rejected": "Cells that could not be encoded",
    "bytes": "Bytes of the data files published",
    "seconds": "Time of the run",
}
WRITTEN = {
    "rows_found": "Latest rows in the span",
    "rows_written": "Rows written to the online store",
    "rows_older_than_stored": "Rows left out because the store holds a later one",
    "bytes_written": "Bytes of the values written",
    "seconds": "Time of the materialization",
}


class Metrics:
    """Collects what runs did, and writes all of it after each.

    Parameters
    ----------
    path : Path or None
        The file, whose name should end with ``.prom``; None to write nothing.
    project : str
        Label of every number, beside the view.
    """

    def __init__(self, path: Path | None, project: str):
        self.path, self.project = path, project
        self.registry: Any = None
        self.gauges: dict[str, Any] = {}
        if path:
            from prometheus_client import CollectorRegistry

            self.registry = CollectorRegistry()

    def embedded(self, run: Any) -> None:
        """Take in what a `Run` of the embed job did."""
        if not self.path:
            return
        for name, what in COUNTS.items():
            self._set(f"embed_{name}", what, run.view, getattr(run, name))
        for stage, seconds in run.stages.items():
            self._set("embed_stage_seconds", "Time by stage", run.view, seconds, stage=stage)
        for reason, found in run.reasons.items():
            what = "Rejects by reason"
            self._set("embed_rejected_by_reason", what, run.view, found["count"], reason=reason)
        self._succeeded("embed", run.view)

    def materialized(self, view: str, counts: Mapping[str, float]) -> None:
        """Take in what a materialization counted: some of `WRITTEN`."""
        if not self.path:
            return
        for name, what in WRITTEN.items():
            if name in counts:
                self._set(f"materialize_{name}", what, view, counts[name])
        self._succeeded("materialize", view)

    def _succeeded(self, job: str, view: str) -> None:
        from prometheus_client import write_to_textfile

        name = f"{job}_last_success_timestamp_seconds"
        self._set(name, "When it last ended well", view, time.time())
        assert self.path is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(self.path), self.registry)

    def _set(self, name: str, what: str, view: str, value: float, **labels: str) -> None:
        from prometheus_client import Gauge

        if name not in self.gauges:
            names = ("project", "view", *labels)
            self.gauges[name] = Gauge(f"deepfeast_{name}", what, names, registry=self.registry)
        self.gauges[name].labels(self.project, view, *labels.values()).set(value)
