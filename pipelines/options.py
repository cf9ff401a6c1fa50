"""Beam's options as this project reads them: which runner, what is refused, and one of our own.

Importing it loads Beam.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from apache_beam.options.pipeline_options import (
    DebugOptions,
    DirectOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
)

from deepfeast.transforms.cores import cores
from deepfeast.transforms.errors import SpecError, did_you_mean

DEFAULT_RUNNER = "FnApiRunner"
# Workers of an engine that does not say how many it has.
GUESS = 8
# They hand the job to a server, which may know options that Beam's Python classes do not.
JOB_SERVERS = ("PortableRunner", "FlinkRunner", "SparkRunner", "PrismRunner")
# Beam would run `pip freeze` for each job, to log it: two seconds in which nothing is done.
NO_FREEZE = "disable_logging_submission_environment"


class WorkerOptions(PipelineOptions):
    """What deepfeast adds to Beam's options."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            "--worker_start_timeout",
            type=float,
            default=300.0,
            help="Seconds in which a worker of another engine must have begun; a stage whose "
            "workers never begin fails then, instead of waiting for ever.",
        )


def pipeline_options(options: Sequence[str]) -> PipelineOptions:
    """Read Beam options; the runner is FnApiRunner unless another is named.

    Raises
    ------
    SpecError
        If the runner is one that loses data, or an option is unknown.
    """
    parsed = PipelineOptions(list(options))
    standard = parsed.view_as(StandardOptions)
    runner = (standard.runner or DEFAULT_RUNNER).split(".")[-1]
    if runner == "DaskRunner":
        raise SpecError(
            "DaskRunner is refused: it mixes tagged outputs and drops what finish_bundle emits, so "
            "rows would be lost without a word. Use FnApiRunner, or FlinkRunner, SparkRunner or "
            "DataflowRunner for a cluster."
        )
    _check_names(options, runner)
    # The bare DirectRunner would download another runner's binary before it starts.
    standard.runner = (
        DEFAULT_RUNNER if runner == "DirectRunner" else standard.runner or DEFAULT_RUNNER
    )
    parsed.view_as(DebugOptions).add_experiment(NO_FREEZE)
    return parsed


def _check_names(options: Sequence[str], runner: str) -> None:
    """Refuse an option that would be dropped without a word."""
    names: list[str] = []
    left: list[str] = []

    def ask(parser: Any) -> None:
        read, unread = parser.parse_known_args(list(options))
        names.extend(f"--{name}" for name in vars(read))
        left.extend(unread)

    PipelineOptions(list(options)).get_all_options(
        add_extra_args_fn=ask, retain_unknown_options=True
    )
    for word in left:
        name = word.split("=")[0]
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
        # A job server may have options of its own, but hardly one that is a letter away.
        if near or runner not in JOB_SERVERS:
            raise SpecError(
                f"Beam has no option {name!r} for {runner}; it would be dropped."
                f"{did_you_mean(name, names)} Options stand behind --, as --name=value."
            )


def alone(options: Sequence[str]) -> bool:
    """Tell whether a job has one worker, which is this process: so it is where nothing is said."""
    if not options:
        return True
    parsed = pipeline_options(options)
    direct = parsed.view_as(DirectOptions)
    return (
        _runner(parsed) == DEFAULT_RUNNER
        and direct.direct_running_mode == "in_memory"
        and direct.direct_num_workers == 1
    )


def local_threads(options: Sequence[str]) -> int | None:
    """Return the threads that each local worker may use without crowding the others.

    None for the workers of another engine: their cores are not those of this machine, and each
    takes those that it finds.
    """
    if not options:
        return cores()
    parsed = pipeline_options(options)
    if _runner(parsed) != DEFAULT_RUNNER:
        return None
    workers = parsed.view_as(DirectOptions).direct_num_workers or 1
    return max(1, cores() // workers)


def workers(options: Sequence[str]) -> int:
    """Return how many workers share a stage, as the options say; a guess where they do not."""
    if not options:
        return 1
    parsed = pipeline_options(options)
    local = _runner(parsed) == DEFAULT_RUNNER
    # Options of Beam's own classes, and those that only a job server knows, are asked for alike.
    said = parsed.get_all_options(drop_default=True, retain_unknown_options=True)
    names = ("direct_num_workers",) if local else ("parallelism", "max_num_workers", "num_workers")
    told = [int(said[name]) for name in names if str(said.get(name, "")).isdigit()]
    return max([1, *told]) if told or local else GUESS


def start_timeout(options: PipelineOptions) -> float | None:
    """Return the seconds in which a worker must have begun; None where there is no such limit.

    Workers of this machine begin with the job, and those of a cloud are made for it.
    """
    if _runner(options) not in JOB_SERVERS:
        return None
    elsewhere = options.view_as(PortableOptions).environment_type in ("EXTERNAL", "PROCESS")
    return options.view_as(WorkerOptions).worker_start_timeout if elsewhere else None


def _runner(options: PipelineOptions) -> str:
    return (options.view_as(StandardOptions).runner or "").split(".")[-1]
