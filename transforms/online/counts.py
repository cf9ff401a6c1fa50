"""What lookups answered, counted: for whoever asks the lookup, and for Prometheus.

The numbers are those of the process, in `prometheus_client`'s own registry, so that a server that
exposes anything exposes them, too.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.online.view import PRESENT

if TYPE_CHECKING:
    from deepfeast.transforms.online.view import Found

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Counts:
    """Counts the answers of one lookup.

    Parameters
    ----------
    service : str
        Label of what Prometheus is told; empty for a lookup of references.

    Attributes
    ----------
    values : Counter
        Values of rows by status: ``present``, ``missing``, ``expired``, ``null``, ``given``,
        ``encoded``, ``rejected``.
    lookups : int
    seconds : float
        That all of them took.
    """

    def __init__(self, service: str):
        self.service = service
        self.values: Counter[str] = Counter()
        self.lookups, self.seconds = 0, 0.0
        self._lock = threading.Lock()
        self._metrics = _metrics()
        # Finding a label takes longer than counting does.
        self._totals: dict[str, Any] = {}
        self._latency: Any = self._metrics[1].labels(service) if self._metrics else None

    def add(self, found: Iterable[Found], started: float) -> None:
        """Count what one lookup found; it began at `started`, by ``time.perf_counter``."""
        values: dict[str, int] = {}
        for feature in found:
            if feature.complete:
                values[PRESENT] = values.get(PRESENT, 0) + len(feature.values)
            else:
                for status, number in Counter(feature.statuses()).items():
                    values[status] = values.get(status, 0) + number
        seconds = time.perf_counter() - started
        with self._lock:
            for status, number in values.items():
                self.values[status] += number
            self.lookups += 1
            self.seconds += seconds
        if self._metrics:
            for status, number in values.items():
                self._total(status).inc(number)
            self._latency.observe(seconds)

    def _total(self, status: str) -> Any:
        if status not in self._totals:
            self._totals[status] = self._metrics[0].labels(self.service, status)
        return self._totals[status]


@functools.cache
def _metrics() -> Any:
    """Register what Prometheus is told, once a process; None where its client is missing."""
    try:
        from prometheus_client import Counter as Total
        from prometheus_client import Histogram
    except ImportError:
        return None
    labels = ["service"]
    return (
        Total("deepfeast_lookup_values", "Values looked up, by status", [*labels, "status"]),
        Histogram("deepfeast_lookup_seconds", "Time of a lookup", labels, buckets=SECONDS),
    )
