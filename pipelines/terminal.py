"""What commands say on a terminal, and what libraries may not.

Progress of long work is a bar on a terminal, and a plain line a stage elsewhere.
"""

from __future__ import annotations

import atexit
import csv
import itertools
import json
import logging
import os
import shutil
import sys
import textwrap
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.feast_api import config_file, import_lean, open_store

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore

Report = Callable[..., None]
log = logging.getLogger("deepfeast")


@dataclass
class Voice:
    """How much a command says, and how: as `listen` was told."""

    lines: str = "text"
    verbose: bool = False
    quiet: bool = False


VOICE = Voice()


class JsonLines(logging.Formatter):
    """A log record as one line of JSON, with whatever ``extra={"fields": {...}}`` holds."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, timezone.utc)
        told = {
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


class TextLines(logging.Formatter):
    """A log record as one line of text; what deepfeast says needs no name before it."""

    def format(self, record: logging.LogRecord) -> str:
        told = super().format(record)
        return told if record.name.startswith("deepfeast") else f"{record.name}: {told}"


class Standard(logging.Handler):
    """Writes to what the standard error is now."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def listen(lines: str = "text", verbose: bool = False, quiet: bool = False) -> None:
    """Leave the terminal to the command: libraries only speak up about errors.

    Parameters
    ----------
    lines : {"text", "json"}
        How log lines are written; to the standard error, always. As JSON, every stage and run
        has one.
    verbose : bool
        Log lines and warnings of libraries, too.
    quiet : bool
        Errors alone.
    """
    VOICE.lines, VOICE.verbose, VOICE.quiet = lines, verbose, quiet
    if not verbose:
        warnings.filterwarnings("ignore")
        # Threads of a fit undo each other's filters; what is left open is then told at the end.
        atexit.register(warnings.filterwarnings, "ignore")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    _hush()


def _hush() -> None:
    """Set up logging as `listen` was told."""
    handler = Standard()
    handler.setFormatter(JsonLines() if VOICE.lines == "json" else TextLines())
    logging.basicConfig(
        level=logging.INFO if VOICE.verbose else logging.ERROR, handlers=[handler], force=True
    )
    ours = logging.INFO if VOICE.lines == "json" else logging.WARNING
    log.setLevel(logging.DEBUG if VOICE.verbose else logging.ERROR if VOICE.quiet else ours)


def say(text: str) -> None:
    """Print what a command has done, unless it is to be quiet."""
    if not VOICE.quiet:
        print(text)


def open_repo(repo: Path) -> FeatureStore:
    """Open the Feast repo in a folder for a command, whose terminal Beam then leaves alone.

    Raises
    ------
    SourceNotFound
        If there is no feature_store.yaml.
    """
    if config_file(repo).is_file():
        import_lean()
    store = open_store(repo)
    # Importing Beam installs a handler of its own.
    _hush()
    if not VOICE.verbose:
        for name in ("apache_beam", "root"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    return store


def print_run(run: Any) -> None:
    """Say what a `Run` of the embed job did."""
    say(run.summary())
    for reason, found in run.reasons.items():
        say(f"  {reason}: {found['count']:,}")
        for example in found["examples"]:
            say(f"      {example}")


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print rows of one kind as a table, or as JSON."""
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in rows[0] if rows else []:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    # A file or a program has no width to fold to.
    Console(width=None if sys.stdout.isatty() else 1000).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def print_rejects(
    view: str, rejects: pa.Table | None, *, as_json: bool = False, as_csv: bool = False
) -> None:
    """Print rejects, those of the most frequent reason first.

    On a terminal each reason is a heading, and no line is longer than the terminal is wide. Where
    the output goes to a file or a program, each reject is one line that begins with its reason.
    """
    rows = [] if rejects is None else rejects.drop(["hash", "created_timestamp"]).to_pylist()
    often = Counter(row["reason"] for row in rows)
    rows.sort(key=lambda row: (-often[row["reason"]], row["reason"]))
    if as_json:
        told = [{name: None if v is None else str(v) for name, v in row.items()} for row in rows]
        print(json.dumps(told, indent=2))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif not rows:
        say(f"{view}: no rejects")
    elif sys.stdout.isatty():
        print("\n".join(reject_lines(rows, shutil.get_terminal_size().columns)))
    else:
        for row in rows:
            print("\t".join([row["reason"], *_told(row)]))


def reject_lines(rows: Sequence[Mapping[str, Any]], width: int) -> Iterator[str]:
    """Write rejects, grouped by reason as they come, for a terminal of some width.

    Examples
    --------
    >>> row = {"id": "a", "at": None, "column": "title", "reason": "text_blank", "message": "blank"}
    >>> list(reject_lines([row], 80))
    ['text_blank: 1', '  id=a  column title  blank']
    """
    for reason, group in itertools.groupby(rows, key=lambda row: row["reason"]):
        found = list(group)
        yield f"{reason}: {len(found):,}"
        for row in found:
            told = [part for part in _told(row) if part]
            line = f"  {'  '.join(told)}"
            if len(line) <= width:
                yield line
                continue
            where = "  ".join(told[:-1])
            yield f"  {where}" if len(where) <= width - 2 else f"  {where[: width - 3]}…"
            yield from textwrap.wrap(
                told[-1], width, initial_indent=" " * 6, subsequent_indent=" " * 6
            )


def _told(row: Mapping[str, Any]) -> list[str]:
    """Say of a reject its keys, its time, its column and its message, each on one line."""
    *keys, time = itertools.takewhile(lambda name: name != "column", row)
    when = f"{row[time]:%Y-%m-%d %H:%M:%S}" if row[time] else ""
    column = f"column {row['column']}" if row["column"] else ""
    told = [", ".join(f"{key}={row[key]}" for key in keys), when, column, row["message"]]
    return [" ".join(part.split()) for part in told]


@contextmanager
def shown(title: str, quiet: bool = False, share: bool = False) -> Iterator[Report]:
    """Show progress while a block runs.

    Parameters
    ----------
    title : str
    quiet : bool
        Show nothing.
    share : bool
        What is reported is a share of the time, not things that were done: it is told in percent.

    Yields
    ------
    callable
        Takes the stage's name, the units done, the units in all, and what else is to be said.
    """
    if VOICE.lines == "json":
        yield _lines(title)
    elif quiet or VOICE.quiet:
        yield lambda stage, done, total, note="": None
    elif sys.stderr.isatty():
        with _bar(title, share) as report:
            yield report
    elif share:
        with _quarters(title) as report:
            yield report
    else:
        yield _lines(title)


@contextmanager
def _bar(title: str, share: bool) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn() if share else MofNCompleteColumn(),
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
            told = [f"{rate:,.0f}/s"] * bool(done and not share) + [note] * bool(note)
            bars.update(task_id, completed=done, rate=", ".join(told))  # type: ignore[arg-type]

        yield report


def _lines(title: str) -> Report:
    started: dict[str, float] = {}

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        began = started.setdefault(stage, time.monotonic())
        if done == total and total and f"{stage} done" not in started:
            started[f"{stage} done"] = began
            seconds = time.monotonic() - began
            told = f"{title}: {stage.lower()} {total:,} in {seconds:.1f} s{note and f' ({note})'}"
            if VOICE.lines == "json":
                fields = {"title": title, "stage": stage.lower(), "units": total}
                log.info(told, extra={"fields": {**fields, "seconds": round(seconds, 3)}})
            else:
                print(told, file=sys.stderr)

    return report


@contextmanager
def _quarters(title: str) -> Iterator[Report]:
    """Tell each quarter of the time once: where more turns out to be left, the share shrinks."""
    entered = time.monotonic()
    started: list[tuple[float, int]] = []
    told = [0]

    def report(stage: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if not started:
            started.append((now, done))
        began, before = started[0]
        quarter = 4 * done // total
        if max(told) < quarter < 4 and done > before:
            told.append(quarter)
            left = _span((now - began) * (total - done) / (done - before))
            print(f"{title}: {25 * quarter} %, about {left} left", file=sys.stderr)

    yield report
    print(f"{title}: done in {_span(time.monotonic() - entered)}", file=sys.stderr)


def _span(seconds: float) -> str:
    """Write a time for people.

    >>> _span(42.3), _span(200)
    ('42 s', '3 min')
    """
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
