"""How many cores there are to use: those of this process, not those of the machine."""

from __future__ import annotations

import os


def cores() -> int:
    """Return how many cores this process may use; a container may be given fewer than there are.

    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
