"""Times taken in turn, and the ratio of two of them with its spread. Not a benchmark itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median


def in_turn(tasks: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run the tasks A B A B; return the seconds of each round."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            began = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - began)
    return times


def spread(theirs: Sequence[float], ours: Sequence[float]) -> list[float]:
    """Return the smallest and the largest ratio of any round, peer's time over ours.

    >>> spread([4, 9], [2, 3])
    [2.0, 3.0]
    """
    ratios = [peer / own for peer, own in zip(theirs, ours, strict=True)]
    return [round(min(ratios), 3), round(max(ratios), 3)]


def in_blocks(times: Sequence[float], blocks: int = 5) -> list[float]:
    """Return the medians of consecutive blocks of many short times.

    >>> in_blocks([1, 1, 2, 3, 3, 3], blocks=2)
    [1, 3]
    """
    size = len(times) // blocks
    return [median(times[block * size : (block + 1) * size]) for block in range(blocks)]
