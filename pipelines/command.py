"""What every command of the terminal has: how much it says, and how it ends.

A command ends with the exit code of the error that it met, told in one line; with ``--verbose``
its traceback stands before.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from deepfeast.pipelines.terminal import listen, log
from deepfeast.transforms.errors import EXIT_CODES, DeepfeastError

INTERRUPTED, TERMINATED, UNREACHABLE = 130, 143, 69
# What libraries raise where a server does not answer. By name: none of them is imported for it.
NO_ANSWER = {
    "builtins.ConnectionError",
    "builtins.TimeoutError",
    "botocore.EndpointConnectionError",
    "grpc.RpcError",
    "psycopg.OperationalError",
    "redis.ConnectionError",
    "redis.TimeoutError",
    "requests.ConnectionError",
    "socket.gaierror",
    "sqlalchemy.OperationalError",
}


class Terminated(KeyboardInterrupt):
    """SIGTERM: whoever cleans up after Ctrl-C cleans up after it, too."""


class LogFormat(StrEnum):
    """How log lines are written."""

    text = "text"
    json = "json"


Repo = Annotated[
    Path, typer.Option("--repo", "-c", help="The Feast repo: the folder of feature_store.yaml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Log = Annotated[LogFormat, typer.Option("--log", help="Write log lines as text or as JSON.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Say more: libraries' log lines, and tracebacks.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Say nothing but errors and what was asked for.")
]
OPTIONS: dict[str, tuple[Any, Any]] = {
    "log_format": (Log, LogFormat.text),
    "verbose": (Verbose, False),
    "quiet": (Quiet, False),
}


class Commands(typer.Typer):
    """Commands that take ``--log``, ``--verbose`` and ``--quiet``, and end with a known code."""

    def command(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        register = super().command

        def add(function: Any) -> Any:
            # Whole, where the list of commands would cut it.
            first, _, _ = (inspect.getdoc(function) or "").partition("\n\n")
            register(*args, **{"short_help": " ".join(first.split()), **kwargs})(_command(function))
            return function

        return add


def _command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command's function the options that all have, and turn errors into exit codes."""

    @functools.wraps(function)
    def run(**asked: Any) -> Any:
        how = {name: asked.pop(name) for name in OPTIONS}
        listen(how["log_format"].value, how["verbose"], how["quiet"])
        try:
            return function(**asked)
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            tell(error, how["verbose"])
            raise typer.Exit(exit_code(error)) from None

    hints = get_type_hints(function, include_extras=True)
    hints |= {name: hint for name, (hint, _) in OPTIONS.items()}
    keyword = inspect.Parameter.KEYWORD_ONLY
    asked_for = [
        *inspect.signature(function).parameters.values(),
        *(inspect.Parameter(name, keyword, default=plain) for name, (_, plain) in OPTIONS.items()),
    ]
    # Typer reads both.
    run.__annotations__ = hints
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(annotation=hints[parameter.name]) for parameter in asked_for]
    )
    return run


def exit_code(error: BaseException) -> int:
    """Return the code that a command ends with after an error.

    Examples
    --------
    >>> exit_code(ConnectionRefusedError()), exit_code(ZeroDivisionError()), exit_code(Terminated())
    (69, 1, 143)
    """
    if isinstance(error, KeyboardInterrupt):
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    if isinstance(error, DeepfeastError):
        return error.exit_code
    kinds = {f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    return UNREACHABLE if kinds & NO_ANSWER else 1


def tell(error: BaseException, verbose: bool) -> None:
    """Say in one line what ended a command; where it is no error of ours, how to learn more."""
    code = exit_code(error)
    told = " ".join([str(error), *getattr(error, "__notes__", ())]).strip()
    name = type(error).__name__
    if code in (INTERRUPTED, TERMINATED):
        name, told = ("Terminated" if code == TERMINATED else "Interrupted"), told or "stopped."
    elif code == 1 and not isinstance(error, DeepfeastError) and not verbose:
        told += " (unexpected; --verbose shows where)"
    if verbose:
        traceback.print_exception(error)
    fields = {"error": name, "exit_code": code, "meaning": EXIT_CODES[code]}
    log.critical(f"{name}: {told}", extra={"fields": fields})


def _terminate(number: int, frame: Any) -> None:
    # A second one ends the process at once, which loses nothing: runs may be killed anywhere.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Terminated


def run_commands(app: Commands) -> None:
    """Run the command that was asked for, and end the process with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except SystemExit as end:
        if end.code in (INTERRUPTED, TERMINATED):
            # Threads of Beam would go on with what they have begun.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(end.code))
        raise
