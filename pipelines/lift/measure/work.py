"""How much is done and how much is left, in time and not in fits.

A raw arm takes a hundred times as long as a probe, and clear arms stop early.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[str, int, int], None]


@dataclass
class Work:
    """Kinds of work, each with how many pieces are left and how long one takes.

    Parameters
    ----------
    report : callable, optional
        Called with what was done, the share done in thousandths, and 1,000.

    Examples
    --------
    >>> seen = []
    >>> work = Work(lambda what, done, total: seen.append((what, done, total)))
    >>> work.plan("slow", 2)
    >>> work.plan("quick", 2)
    >>> work.tick("quick", 1.0); work.tick("slow", 9.0); work.tick("quick", 1.0)
    >>> work.tick("slow", 9.0)
    >>> seen[1:]  # after one of each, half of the time has passed
    [('slow', 500, 1000), ('quick', 550, 1000), ('slow', 1000, 1000)]
    """

    report: Progress | None = None
    left: dict[str, int] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, kind: str, pieces: int) -> None:
        """Announce pieces of a kind; negative where they turn out not to be needed."""
        with self.lock:
            self.left[kind] = max(0, self.left.get(kind, 0) + pieces)

    def tick(self, kind: str, seconds: float) -> None:
        """Count one piece as done."""
        with self.lock:
            self.left[kind] = max(0, self.left.get(kind, 0) - 1)
            self.done[kind] = self.done.get(kind, 0) + 1
            self.spent[kind] = self.spent.get(kind, 0.0) + seconds
            if self.report:
                self.report(kind, self._thousandths(), 1000)

    def _thousandths(self) -> int:
        spent = sum(self.spent.values())
        usual = spent / max(1, sum(self.done.values()))
        left = sum(
            count * (self.spent[kind] / self.done[kind] if kind in self.done else usual)
            for kind, count in self.left.items()
        )
        return int(1000 * spent / (spent + left)) if spent + left else 0
