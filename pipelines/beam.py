"""Beam, as the embed job uses it: one stage over references, options, and progress."""

from __future__ import annotations

import importlib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deepfeast.transforms import errors
from deepfeast.transforms.cores import cores

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

log = logging.getLogger(__name__)
DEFAULT_RUNNER = "FnApiRunner"
# The last is what numpy says of it.
DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|\d+ requested and \d+ written")
# Beam ends the text of a worker's error with the step; where it could not, a traceback goes on.
STEP = r" \[while running '[^'\n]*'\]"
WORKER_ERROR = re.compile(
    r"deepfeast\.transforms\.errors\.(?P<kind>\w+): (?P<message>.*?)"
    rf"(?:{STEP}|\n\n(?:During handling of|The above exception was)|\nTraceback|\s*\Z)",
    re.DOTALL,
)


def pipeline_options(options: Sequence[str]) -> PipelineOptions:
    """Read Beam options; the runner is FnApiRunner unless another is named.

    Raises
    ------
    SpecError
        If the runner is one that loses data, or an option is unknown.
    """
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    parsed = PipelineOptions(list(options))
    standard = parsed.view_as(StandardOptions)
    runner = (standard.runner or DEFAULT_RUNNER).split(".")[-1]
    if runner == "DaskRunner":
        raise errors.SpecError(
            "DaskRunner is refused: it mixes tagged outputs and drops what finish_bundle emits, so "
            "rows would be lost without a word. Use FnApiRunner, or FlinkRunner, SparkRunner or "
            "DataflowRunner for a cluster."
        )
    # The bare DirectRunner would download another runner's binary before it starts.
    standard.runner = (
        DEFAULT_RUNNER if runner == "DirectRunner" else standard.runner or DEFAULT_RUNNER
    )
    return parsed


def local_threads(options: Sequence[str]) -> int:
    """Return the threads that each local worker may use without crowding the others."""
    from apache_beam.options.pipeline_options import DirectOptions

    workers = pipeline_options(options).view_as(DirectOptions).direct_num_workers or 1
    return max(1, cores() // workers)


def run_stage(
    name: str,
    elements: Sequence[Any],
    dofn: beam.DoFn,
    options: Sequence[str],
    done: Callable[[], int],
    total: int,
    progress: Callable[..., None],
    note: Callable[[], str] = str,
) -> None:
    """Run one DoFn over references on the chosen runner, and wait for it.

    Parameters
    ----------
    name : str
        Label of the stage.
    elements : sequence
        References, small enough to cross a shuffle: it spreads them over the workers.
    done : callable
        Counts the units done so far, from the files that workers left.
    total : int
        Units in all.
    progress, note : callable
        `progress` is called with the name, the units done, those in all, and what `note` says.

    Raises
    ------
    DeepfeastError
        What a worker raised, as it raised it.
    """
    import apache_beam as beam

    if not elements:
        return
    pipeline = beam.Pipeline(options=pipeline_options(options))
    _ = (
        pipeline
        # Create reshuffles what it holds, which spreads it over the workers.
        | "References" >> beam.Create(elements)
        | name >> beam.ParDo(dofn)
    )
    with _watched(name, done, total, progress, note):
        try:
            result = pipeline.run()
            result.wait_until_finish()
        except Exception as error:
            raise original_error(error) from error
    progress(name, total, total, note())
    counts = counters(result)
    log.debug(f"{name}: {counts}", extra={"fields": {"stage": name.lower(), "counters": counts}})


@contextmanager
def _watched(
    name: str,
    done: Callable[[], int],
    total: int,
    progress: Callable[..., None],
    note: Callable[[], str],
) -> Iterator[None]:
    """Report progress from a thread while the pipeline blocks this one."""
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.25):
            progress(name, min(done(), total), total, note())

    thread = threading.Thread(target=watch, daemon=True)
    progress(name, 0, total, note())
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def counters(result: Any) -> dict[str, int]:
    """Return the project's counters of a pipeline that has ended; none where a runner has none."""
    return {
        counter.key.metric.name: counter.result
        for counter in result.metrics().query()["counters"]
        if counter.key.metric.namespace == "deepfeast"
    }


@contextmanager
def hushed() -> Iterator[None]:
    """Keep Beam from filling a log that is not its own: its errors are raised anyway.

    A level that somebody has set for the logger ``apache_beam`` stays.
    """
    logger, disabled = logging.getLogger("apache_beam"), logging.root.manager.disable
    # It warns on being imported, by the root logger.
    logging.disable(logging.WARNING)
    try:
        importlib.import_module("apache_beam")
    finally:
        logging.disable(disabled)
    level = logger.level
    logger.setLevel(level or logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def original_error(error: BaseException) -> BaseException:
    """Return the error a worker raised, with all of its lines and no others.

    A runner in this process adds to its message; others hand back only its text, amid their own.
    A full disk is told as one, whoever met it; Ctrl-C stays what it was.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(error, errors.DeepfeastError):
        # Beam makes a RuntimeError of it, with the worker's step in the text.
        if isinstance(cause, KeyboardInterrupt):
            return cause
        cause = cause.__cause__ or cause.__context__
    text = str(error)
    if isinstance(error, errors.DeepfeastError):
        told = re.sub(rf"{STEP}\Z", "", text)
        return error if told == text else type(error)(told)
    # The last one: those before it led to it.
    for found in reversed(list(WORKER_ERROR.finditer(text))):
        kind = getattr(errors, found["kind"], None)
        if isinstance(kind, type) and issubclass(kind, errors.DeepfeastError):
            return kind(found["message"])
    if DISK_FULL.search(text):
        return errors.DiskFull(
            "the disk is full. The published table is untouched; free "
            "some space and run again, what was already encoded is reused."
        )
    return error
