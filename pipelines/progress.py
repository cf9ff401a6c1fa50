"""Progress of long work: a bar on a terminal, a plain line a stage elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown(title: str, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Show progress while a block runs.

    Yields
    ------
    callable
        Takes the stage's name, the units done and the units in all.
    """
    if quiet:
        yield lambda stage, done, total: None
    elif sys.stderr.isatty():
        with _bar(title) as report:
            yield report
    else:
        yield _lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, tuple[int, float]] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                task = bars.add_task(f"{title}: {stage.lower()}", total=total, rate="")
                tasks[stage] = (int(task), time.monotonic())
            task_id, started = tasks[stage]
            rate = done / max(time.monotonic() - started, 1e-9)
            bars.update(task_id, completed=done, rate=f"{rate:,.0f}/s" if done else "")  # type: ignore[arg-type]

        yield report


def _lines(title: str) -> Callable[[str, int, int], None]:
    started: dict[str, float] = {}

    def report(stage: str, done: int, total: int) -> None:
        began = started.setdefault(stage, time.monotonic())
        if done == total and total and f"{stage} done" not in started:
            started[f"{stage} done"] = began
            seconds = time.monotonic() - began
            print(f"{title}: {stage.lower()} {total:,} in {seconds:.1f} s", file=sys.stderr)

    return report
