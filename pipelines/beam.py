"""Beam, as the embed job uses it: one stage over references, options, and progress."""

from __future__ import annotations

import importlib
import logging
import re
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deepfeast.transforms import errors

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.runner import PipelineResult

log = logging.getLogger(__name__)
# The last is what numpy says of it.
DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded|\d+ requested and \d+ written")
# A worker that has gone, as Prism, Flink, Spark, Dataflow and Beam's own runner say it.
LOST = re.compile(
    r"SDK worker disconnected|TaskManager .*no longer reachable|heartbeat of TaskManager"
    r"|closed by remote task manager|ExecutorLostFailure|Lost executor|worker lost contact"
    r"|Worker process .* exit"
)
# Prism waits for a worker a minute, whatever it is asked.
NEVER_BEGAN = re.compile(r"didn't get control connection")
ATTEMPTS = 2
# Seconds until a pool that something starts again may be expected to be there.
PAUSE = 10.0
# Beam ends the text of a worker's error with the step; where it could not, a traceback goes on.
STEP = r" \[while running '[^'\n]*'\]"
WORKER_ERROR = re.compile(
    r"deepfeast\.transforms\.errors\.(?P<kind>\w+): (?P<message>.*?)"
    rf"(?:{STEP}|\n\n(?:During handling of|The above exception was)|\nTraceback|\s*\Z)",
    re.DOTALL,
)


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

    A single element is done in this process and without a pipeline, where that process has the
    only worker or the DoFn is `light`: there is nothing to spread, and workers elsewhere take
    seconds to begin. Where a worker is lost the stage is run once more; it must do no harm to do
    an element twice.

    Parameters
    ----------
    name : str
        Label of the stage.
    elements : sequence
        References, small enough to cross a shuffle: it spreads them over the workers.
    dofn : DoFn
        With a method `begun`, if it can tell that a worker has begun, and `light` if it is.
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
    WorkerError
        If no worker begins, no job server answers, or workers are lost again and again.
    """
    if not elements:
        return
    from deepfeast.pipelines.options import alone

    with _watched(name, done, total, progress, note):
        if len(elements) == 1 and (getattr(dofn, "light", False) or alone(options)):
            counts = _run_here(elements[0], dofn)
        else:
            counts = _run_anywhere(name, elements, dofn, options)
    progress(name, total, total, note())
    log.debug(f"{name}: {counts}", extra={"fields": {"stage": name.lower(), "counters": counts}})


@contextmanager
def without_pipeline() -> Iterator[Counter[str]]:
    """Collect what DoFns count that are called directly, and raise as `finished` does."""
    from deepfeast.transforms.embed import counted

    try:
        with counted() as counts:
            yield counts
    except Exception as error:
        told = original_error(error)
        if told is error:
            raise
        raise told from error


def _run_here(element: Any, dofn: beam.DoFn) -> dict[str, int]:
    with without_pipeline() as counts:
        dofn.setup()
        try:
            for _ in dofn.process(element) or ():
                pass
        finally:
            dofn.teardown()
    return dict(counts)


def _run_anywhere(
    name: str, elements: Sequence[Any], dofn: beam.DoFn, options: Sequence[str]
) -> dict[str, int]:
    for attempt in range(ATTEMPTS):
        try:
            return counters(_run_once(name, elements, dofn, options))
        except errors.WorkerLost as error:
            if attempt + 1 == ATTEMPTS:
                raise
            log.warning(f"{name}: {error} Trying once more.")
            time.sleep(PAUSE)
    raise AssertionError("the last attempt ends or raises")


def _run_once(
    name: str, elements: Sequence[Any], dofn: beam.DoFn, options: Sequence[str]
) -> PipelineResult:
    import apache_beam as beam

    from deepfeast.pipelines.options import pipeline_options

    pipeline = beam.Pipeline(options=pipeline_options(options))
    _ = (
        pipeline
        # Create reshuffles what it holds, which spreads it over the workers.
        | "References" >> beam.Create(elements)
        | name >> beam.ParDo(dofn)
    )
    return finished(pipeline, getattr(dofn, "begun", None))


def finished(pipeline: beam.Pipeline, begun: Callable[[], bool] | None = None) -> PipelineResult:
    """Run a pipeline and wait for its end; raise what a worker raised, as it raised it.

    Parameters
    ----------
    begun : callable, optional
        Tells that a worker has begun; where none does in time, the job is cancelled.
    """
    import grpc

    from deepfeast.pipelines.options import start_timeout

    limit = start_timeout(pipeline.options)
    late = threading.Event()
    try:
        result = pipeline.run()
        with _expected(begun, limit, result.cancel, late):
            result.wait_until_finish()
    except Exception as error:
        told = original_error(error)
        if late.is_set():
            told = no_worker(f"{limit:,.0f} s")
        elif isinstance(error, grpc.RpcError | grpc.FutureTimeoutError):
            told = no_server(pipeline.options, error)
        if told is error:
            # Not from itself: whoever follows its causes would never come to an end.
            raise
        raise told from error
    return result


@contextmanager
def _expected(
    begun: Callable[[], bool] | None,
    limit: float | None,
    cancel: Callable[[], object],
    late: threading.Event,
) -> Iterator[None]:
    """Cancel a job of which no worker has begun in time."""
    stop = threading.Event()

    def watch(begun: Callable[[], bool], limit: float) -> None:
        until = time.monotonic() + limit
        while not begun():
            if time.monotonic() > until:
                late.set()
                cancel()
                return
            if stop.wait(min(1.0, limit)):
                return

    if begun is None or limit is None:
        yield
        return
    thread = threading.Thread(target=watch, args=(begun, limit), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()


def no_server(options: PipelineOptions, error: Exception) -> errors.WorkerError:
    """Say that the server which takes jobs does not answer, or has gone in the middle of one."""
    from apache_beam.options.pipeline_options import PortableOptions

    where = options.view_as(PortableOptions).job_endpoint or "that the runner has started"
    details = getattr(error, "details", str)() or "no answer"
    return errors.WorkerError(
        f"the job server {where} does not answer, or went in the middle of a job ({details}). "
        f"Nothing is lost with it: see --job_endpoint and the server's own log, and run again. "
        f"Prism goes, too, where it cannot reach the pool of --environment_config."
    )


def no_worker(limit: str) -> errors.WorkerError:
    """Say that an engine has taken a job, and no worker has begun."""
    return errors.WorkerError(
        f"no worker began within {limit}. The engine has taken the job, but either has no "
        f"free slot, or its workers cannot start: the `python` that the worker pool finds first on "
        f"its path must have deepfeast and the same Beam as here. Look into the pool's log, "
        f"or start it as `deepfeast workers`. --worker_start_timeout=SECONDS waits longer."
    )


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
        # Prism says nothing of a counter that nobody has moved.
        counter.key.metric.name: counter.result or 0
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
    for told_so in reversed(list(WORKER_ERROR.finditer(text))):
        kind = getattr(errors, told_so["kind"], None)
        if isinstance(kind, type) and issubclass(kind, errors.DeepfeastError):
            return kind(told_so["message"])
    if found := LOST.search(text):
        began = text.rfind("\n", 0, found.start()) + 1
        said = textwrap.shorten(text[began:].splitlines()[0], 200)
        return errors.WorkerLost(
            f"a worker was lost in the middle of its work ({said}). Nothing is lost with it, or "
            f"written twice: run again. Where it is lost again, look at its log and at how much "
            f"memory it may use."
        )
    if NEVER_BEGAN.search(text):
        return no_worker("a minute")
    if DISK_FULL.search(text):
        return errors.DiskFull(
            "the disk is full. The published table is untouched; free "
            "some space and run again, what was already encoded is reused."
        )
    return error
