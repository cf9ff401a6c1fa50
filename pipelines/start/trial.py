"""From a table to a verdict: a hidden repo beside the file, embedded and asked for the lift."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.start.look import Look
from deepfeast.pipelines.start.plan import Plan, Proposal
from deepfeast.pipelines.start.repo import Encoders, Repo, write_repo
from deepfeast.pipelines.start.run import apply_here, embed_all
from deepfeast.pipelines.start.table import Table
from deepfeast.pipelines.start.write import EVENT, labels_file, write_data
from deepfeast.pipelines.terminal import open_repo
from deepfeast.transforms.errors import LiftError
from deepfeast.transforms.files.write import check_writable

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.result import LiftResult

ROWS = 3000
FEWEST_ROWS = 30
# A first look is not to end for want of some photos; a nightly run is stricter.
ALLOWED_REJECTS = 0.5
MARK = "what-deepfeast-try-keeps"
KEPT = "Kept: {}. The same command goes on from there."


@dataclass(frozen=True)
class Trial:
    """What came of a table.

    Attributes
    ----------
    repo : Repo
        The hidden repo.
    result : LiftResult
    page : Path
    rows : int
        Rows that were drawn.
    """

    repo: Repo
    result: LiftResult
    page: Path
    rows: int


def cache_folder(table: Path) -> Path:
    """Where what is made of a table is kept: beside it."""
    return table.parent / f"{table.name}.deepfeast"


def drawn_rows(total: int, wanted: int, seed: int) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Draw rows at random, in order; None where all are taken."""
    if total <= wanted:
        return None
    return np.sort(np.random.default_rng(seed).choice(total, wanted, replace=False))


def check_answerable(table: Table, look: Look, proposal: Proposal) -> None:
    """Refuse before any work what cannot have a verdict.

    Raises
    ------
    LiftError
        If there is nothing to embed, or too little to learn from.
    """
    plan = proposal.plan
    if len(table.names) < 2:
        form = f" ({table.form})" if table.form else ""
        raise LiftError(
            f"{table.path} has one column, {next(iter(table.names.values()))!r}{form}: a verdict "
            f"takes a target and a text or photo beside it."
        )
    if look.rows < FEWEST_ROWS:
        raise LiftError(
            f"{table.path} has {look.rows} rows; a verdict needs at least {FEWEST_ROWS}, and some "
            f"hundreds to see a lift that is not enormous."
        )
    if not (plan.texts or plan.photos):
        left = "; ".join(
            f"{name}: {why}" for role, name, why in proposal.reasons if role == "left out"
        )
        raise LiftError(
            f"no column of {table.path.name} is of texts or photos, so there is nothing to embed"
            f"{f' ({left[:400]})' if left else ''}. Name one with --text or --photo."
        )


def try_table(
    table: Table,
    look: Look,
    proposal: Proposal,
    encoders: Encoders,
    *,
    cache: Path,
    rows: int = ROWS,
    seed: int = 0,
    shown: Callable[..., AbstractContextManager[Any]] | None = None,
    told: Callable[[Any], None] | None = None,
) -> Trial:
    """Embed a table's texts and photos, and measure what a model gains from them.

    Parameters
    ----------
    table : Table
    look : Look
    proposal : Proposal
    encoders : Encoders
    cache : Path
        Folder for the hidden repo and the page.
    rows : int
        Draw so many rows at random, where there are more.
    seed : int
        Draws them.
    shown : callable, optional
        Takes a title and returns a context manager that yields a report of progress.
    told : callable, optional
        Takes each run of the embed job.

    Returns
    -------
    Trial
    """
    from deepfeast.pipelines.lift.tell.save import save

    check_answerable(table, look, proposal)
    show = shown or (lambda title, **how: nullcontext(lambda *a, **k: None))
    try:
        repo = _hidden_repo(cache, table, proposal, encoders, rows, seed)
        numbers = drawn_rows(look.rows, rows, seed)
        with show("table") as report:
            total = look.rows
            write_data(
                table,
                repo.plan,
                repo.folder / "data",
                numbers,
                lambda read: report("Read", min(read, total), total),
            )
        if not (repo.folder / "data" / "registry.db").exists():
            apply_here(repo.folder)
        embed_all(repo.folder, ALLOWED_REJECTS, progress=show, told=told)
        result = _lift(repo, proposal, table, seed, show)
    except KeyboardInterrupt as stop:
        stop.add_note(KEPT.format(f"vectors that were finished, in {cache}"))
        raise
    result.notes = _in_words_of_the_table(result.notes, repo.plan)
    result.alarms = [replace(alarm, text=_of_the_repo(alarm.text)) for alarm in result.alarms]
    if numbers is not None:
        result.notes.append(
            f"{len(numbers):,} of the {look.rows:,} rows of {table.path.name} were drawn at random."
        )
    save(result, cache / "lift")
    page = cache / "lift" / "lift.html"
    return Trial(repo, result, page, look.rows if numbers is None else len(numbers))


def _hidden_repo(
    cache: Path, table: Table, proposal: Proposal, encoders: Encoders, rows: int, seed: int
) -> Repo:
    """Return the repo of what is asked, made once for each asking, as `deepfeast init` does."""
    check_writable(cache, "deepfeast try (its cache; --cache names another folder)")
    asked = json.dumps(
        [asdict(proposal.plan), asdict(encoders), rows, seed, list(proposal.photos)],
        default=str,
        sort_keys=True,
    )
    roots = [str(form.root) + str(form.hosts) for form in proposal.photos.values()]
    name = hashlib.blake2b((asked + str(roots)).encode(), digest_size=4).hexdigest()
    folder = cache / f"repo-{name}"
    if (folder / MARK).exists():
        return Repo(folder, proposal.plan)
    shutil.rmtree(folder, ignore_errors=True)  # half a repo, of a run that was killed
    repo = write_repo(folder, table, proposal, encoders)
    (folder / MARK).touch()
    return repo


def _lift(
    repo: Repo, proposal: Proposal, table: Table, seed: int, show: Callable[..., Any]
) -> LiftResult:
    from deepfeast.pipelines.lift.ask.question import Question
    from deepfeast.pipelines.lift.run import run_lift

    plan = repo.plan
    assert plan.target is not None
    question = Question(
        plan.target,
        plan.groups,
        EVENT if plan.time else None,
        log_target=proposal.log_target,
        # The main question alone; deepfeast lift asks for the other forms, too.
        representations=("columns",),
        name=table.path.name,
        seed=seed,
    )
    store = open_repo(repo.folder)
    with show("lift", share=True) as report:
        return run_lift(
            store,
            labels_file(plan, repo.folder / "data"),
            question,
            service=f"{plan.name}_model",
            progress=lambda what, done, total: report("fit", done, total),
        )


def _of_the_repo(told: str) -> str:
    """Say of advice that it needs a repo whence one comes."""
    needs_repo = "deepfeast explain", "deepfeast duplicates", "DeepFeature("
    return (
        f"{told} (In the repo that deepfeast init writes.)"
        if any(word in told for word in needs_repo)
        else told
    )


def _in_words_of_the_table(notes: list[str], plan: Plan) -> list[str]:
    """Say of a table without times what `deepfeast lift` says of labels without them."""
    notes = [_of_the_repo(note) for note in notes]
    if plan.time:
        return notes
    asked = (
        f"The table has no column of times. Could all of its columns be known before "
        f"{plan.target} was?"
    )
    return [asked if EVENT in note else note for note in notes]
