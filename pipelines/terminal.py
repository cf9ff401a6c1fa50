"""Progress of long work: a bar on a terminal, a plain line a stage elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[..., None]


@contextmanager
def shown(title: str, quiet: bool = False) -> Iterator[Report]:
    """Show progress while a block runs.

    Yields
    ------
    callable
        Takes the stage's name, the units done, the units in all, and what else is to be said.
    """
    if quiet:
        yield lambda stage, done, total, note="": None
    elif sys.stderr.isatty():
        with _bar(title) as report:
            yield report
    else:
        yield _lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Report]:
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

        def report(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                task = bars.add_task(f"{title}: {stage.lower()}", total=total, rate="")
                tasks[stage] = (int(task), time.monotonic())
            task_id, started = tasks[stage]
            rate = done / max(time.monotonic() - started, 1e-9)
            told = [f"{rate:,.0f}/s"] * bool(done) + [note] * bool(note)
            bars.update(task_id, completed=done, rate=", ".join(told))  # type: ignore[arg-type]

        yield report


def _lines(title: str) -> Report:
    started: dict[str, float] = {}

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        began = started.setdefault(stage, time.monotonic())
        if done == total and total and f"{stage} done" not in started:
            started[f"{stage} done"] = began
            seconds = time.monotonic() - began
            print(
                f"{title}: {stage.lower()} {total:,} in {seconds:.1f} s{note and f' ({note})'}",
                file=sys.stderr,
            )

    return report
