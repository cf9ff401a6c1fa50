"""What a table was taken for, in lines for a terminal; and the questions that are left."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from deepfeast.pipelines.start.look import Look
from deepfeast.pipelines.start.plan import Asked, Doubt, Proposal
from deepfeast.pipelines.start.repo import Encoders
from deepfeast.pipelines.start.table import Table
from deepfeast.transforms.errors import LiftError

ROLES = ("target", "id", "time", "groups", "text", "photo", "number", "category", "left out")
SHOWN, WIDTH = 5, 24
FLAGS = {"target": "target", "key": "id", "time": "time", "groups": "groups"}


def proposal_lines(table: Table, look: Look, proposal: Proposal) -> Iterator[str]:
    """Say what each column was taken for, and why: one line each, alike ones together."""
    form = f"; {table.form}" if table.form else ""
    yield f"{table.path.name}: {look.rows:,} rows, {len(table.names)} columns{form}"
    if look.left_out:
        yield f"  {look.left_out:,} rows have another number of cells, and are left out"
    for role in ROLES:
        alike: dict[str, list[str]] = {}
        for kind, name, why in proposal.reasons:
            if kind == role:
                alike.setdefault(why, []).append(" ".join(name.split()) or "(no name)")
        if role in ("category", "left out") and len(alike) > SHOWN:
            names = [name for group in alike.values() for name in group]
            alike = {"few values" if role == "category" else "neither of these": names}
        for why, names in alike.items():
            yield f"  {role:<9} {_few(names):<{WIDTH}} {why}"
    used = set(proposal.plan.used)
    renamed = [(plain, name) for plain, name in proposal.plan.names.items() if plain in used]
    if renamed:
        told = ", ".join(f"{' '.join(name.split())!r} is {plain}" for plain, name in renamed[:3])
        more = f", and {len(renamed) - 3} more" if len(renamed) > 3 else ""
        yield f"  Feast takes plain names: {told}{more}."
    for note in proposal.notes:
        yield f"  {note}"


def _few(names: list[str]) -> str:
    if len(names) <= SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[:SHOWN])} and {len(names) - SHOWN} more"


def encoder_line(proposal: Proposal, encoders: Encoders) -> str:
    """Say who reads the texts and photos, and what another network would bring."""
    told = []
    if proposal.plan.texts and encoders.text == "text-tiny":
        told.append(
            "Texts are read by text-tiny, which comes with deepfeast; --text-encoder minilm may "
            "find a tenth more and takes 200 times as long."
        )
    elif proposal.plan.texts:
        told.append(f"Texts are read by {encoders.text}.")
    if proposal.plan.photos:
        told.append(f"Photos are read by {encoders.image}.")
    return " ".join(told)


def answered(
    doubts: list[Doubt], asked: Asked, ask: Callable[[Doubt], str] | None
) -> tuple[Asked, bool]:
    """Settle what could not be told.

    Parameters
    ----------
    doubts : list of Doubt
    asked : Asked
    ask : callable, optional
        Asks a person and returns one of the options; without it the usual ones are taken.

    Returns
    -------
    (Asked, bool)
        With the answers, and whether there are any.

    Raises
    ------
    LiftError
        If something has no usual answer.
    """
    found: dict[str, Any] = {}
    for doubt in doubts:
        if ask is not None:
            found["key" if doubt.flag == "id" else doubt.flag] = ask(doubt)
        elif doubt.usual is None:
            some = f", one of: {', '.join(doubt.options)}" if doubt.options else ""
            raise LiftError(f"{doubt.question} Say it with --{doubt.flag} COLUMN{some}.")
    return replace(asked, **found), bool(found)


def flags(asked: Asked, encoders: Encoders) -> list[str]:
    """Write what was asked as the options that ask it."""
    told = [
        f"--{flag} {shlex.quote(value)}"
        for name, flag in FLAGS.items()
        if (value := getattr(asked, name)) is not None
    ]
    for name, flag in (
        ("texts", "text"),
        ("photos", "photo"),
        ("categories", "category"),
        ("skip", "skip"),
        ("hosts", "allow-host"),
    ):
        told += [f"--{flag} {shlex.quote(value)}" for value in getattr(asked, name)]
    if asked.photos_root is not None:
        told.append(f"--photos-root {shlex.quote(str(asked.photos_root))}")
    if asked.log_target is not None:
        told.append("--log-target" if asked.log_target else "--no-log-target")
    usual = Encoders()
    if encoders.text != usual.text:
        told.append(f"--text-encoder {shlex.quote(encoders.text)}")
    if encoders.image != usual.image:
        told.append(f"--image-encoder {shlex.quote(encoders.image)}")
    return told


def init_command(
    table: Path, name: str, asked: Asked, encoders: Encoders, cache: Path | None = None
) -> str:
    """Write the command that makes a repo of what was tried, and kept in a cache that was named."""
    words = ["deepfeast init", f"{name}_repo", f"--table {shlex.quote(str(table))}"]
    kept = [f"--cache {shlex.quote(str(cache))}"] if cache else []
    return " ".join([*words, *flags(asked, encoders), *kept])
