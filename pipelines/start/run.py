"""Apply, embed, materialize: what brings a repo up to its tables, in that order."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.terminal import log, open_repo
from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.feast_api import APPLY, config_file, find, import_lean, open_store

if TYPE_CHECKING:
    from deepfeast.pipelines.embed import Run

FIRST = datetime(1970, 1, 2, tzinfo=timezone.utc)
KEPT = (
    "What was published stays: tables change in one commit, or not at all, and finished batches of "
    "vectors are kept. The same command goes on from there."
)


@dataclass
class Done:
    """What a run did.

    Attributes
    ----------
    runs : list of Run
        One for each deep view.
    views : list of str
        What is online now.
    seconds : dict of str to float
        By step.
    """

    runs: list[Run] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "runs": [run.to_dict() for run in self.runs],
            "views": self.views,
            "seconds": {step: round(took, 1) for step, took in self.seconds.items()},
        }


def run_repo(
    repo: Path,
    *,
    allowed_rejects: float = 0.05,
    options: Sequence[str] = (),
    progress: Callable[[str], Any] | None = None,
    told: Callable[[Run], None] | None = None,
) -> Done:
    """Apply a repo's declarations, embed its deep views, and bring all views online.

    Parameters
    ----------
    repo : Path
    allowed_rejects : float
        As in `embed`.
    options : sequence of str
        Beam options.
    progress : callable, optional
        Takes a title and returns a context manager that yields what `embed` reports to.
    told : callable, optional
        Takes each run of the embed job as it ends.

    Raises
    ------
    DeepfeastError
        As each of the steps does; steps before it stay done.
    """
    done = Done()
    started = time.monotonic()

    def step(name: str) -> None:
        nonlocal started
        done.seconds[name] = time.monotonic() - started
        started = time.monotonic()

    try:
        apply(repo)
        step("apply")
        done.runs = embed_all(repo, allowed_rejects, options, progress, told)
        step("embed")
        store = open_repo(repo)
        views = [view for view in store.list_feature_views() if view.online]
        done.views = [view.name for view in views]
        if views:
            bring_online(store)
        step("materialize")
    except KeyboardInterrupt as stop:
        stop.add_note(KEPT)
        raise
    return done


def embed_all(
    repo: Path,
    allowed_rejects: float,
    options: Sequence[str] = (),
    progress: Callable[[str], Any] | None = None,
    told: Callable[[Run], None] | None = None,
) -> list[Run]:
    """Embed every deep view of a repo."""
    from deepfeast.pipelines.embed import embed
    from deepfeast.transforms.features import deep_spec

    store = open_repo(repo)
    runs = []
    for view in store.list_feature_views():
        if not deep_spec(view):
            continue
        with progress(view.name) if progress else contextlib.nullcontext() as report:
            runs.append(
                embed(
                    store,
                    view.name,
                    allowed_rejects=allowed_rejects,
                    options=list(options),
                    progress=report,
                )
            )
        if told:
            told(runs[-1])
    return runs


def bring_online(store: Any) -> None:
    """Materialize every view, from the first row that there may be until now."""
    # Feast tells the terminal what it does in several lines a view.
    with contextlib.redirect_stdout(io.StringIO()):
        store.materialize(FIRST, datetime.now(timezone.utc))


# Feast's own command, without torch, for which applying has no use.
COMMAND = """
from deepfeast.transforms.feast_api import import_lean
import_lean(typed=True)
from feast.cli.cli import cli
cli()
"""


def apply(repo: Path) -> None:
    """Run ``feast apply`` in a process of its own: declarations are modules, and stay loaded.

    Raises
    ------
    SourceNotFound
        If there is no repo.
    SpecError
        If Feast refuses the declarations; it holds what Feast said last.
    """
    if not config_file(repo).is_file():
        open_store(repo)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", COMMAND, "-c", str(repo), "apply"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if process.returncode:
        log.debug(output)
        lines = [line for line in output.strip().splitlines() if line.strip()]
        raise SpecError(
            f"feast apply refuses the declarations in {repo}: {lines[-1] if lines else 'no word'} "
            f"(all it said: feast -c {repo} apply)"
        )


def apply_here(repo: Path) -> None:
    """Apply declarations that deepfeast wrote, within this process: in a third of the time."""
    import_lean()
    apply_total = find(APPLY)
    if apply_total is None:
        apply(repo)
        return
    from feast.repo_config import load_repo_config

    repo, here, known = repo.resolve(), Path.cwd(), set(sys.modules)
    sys.path.insert(0, str(repo))
    importlib.invalidate_caches()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            apply_total(load_repo_config(repo, config_file(repo)), repo, False)
    finally:
        os.chdir(here)  # Feast has left it
        sys.path.remove(str(repo))
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(f"{repo}{os.sep}"):
                del sys.modules[name]
