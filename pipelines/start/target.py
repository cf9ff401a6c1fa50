"""What is to be predicted: numbers or classes, and what it takes to read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepfeast.pipelines.start.facts import MANY, Facts
from deepfeast.pipelines.start.look import Look
from deepfeast.transforms.errors import LiftError

MOST_CLASSES = 50
SKEWED = 1.3
LIKELY = re.compile(
    r"price|cost|sales|revenue|rating|score|target|label|class|amount|value|sold|clicks|churn|"
    r"preis|prix|precio|^y$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Target:
    """How a target is read.

    Attributes
    ----------
    kind : {"number", "integer", "class"}
    logged : bool
        Its logarithm is predicted.
    why : str
        What it was taken for, for people.
    """

    kind: str
    logged: bool
    why: str


def read_target(facts: Facts, look: Look, log_target: bool | None = None) -> Target:
    """Find out what a target is.

    Raises
    ------
    LiftError
        If it is constant, or a text of its own in each row.
    """
    name, rows = facts.name, len(facts.known)
    if facts.distinct < 2:
        what = f"{facts.known[0].as_py()!r} in all rows" if rows else "empty"
        raise LiftError(f"{name!r} is {what}: there is nothing to predict.")
    lacking = f"; {facts.missing:,} rows without it are left out" if facts.missing else ""
    if not look.whole and lacking:
        lacking = f"; {facts.missing / len(facts.cells):.0%} of the rows lack it and are left out"
    if facts.number_share[0] >= MANY:
        return _number(facts, log_target, lacking)
    if not facts.is_flat:
        raise LiftError(f"{name!r} holds {facts.cells.type}: a target is numbers or classes.")
    if facts.time_format:
        raise LiftError(
            f"{name!r} holds times: a target is numbers or classes. Write what is to be predicted "
            f"as a number, such as days until then."
        )
    if facts.distinct > max(2, min(MOST_CLASSES, rows // 4)):
        some = ", ".join(repr(str(cell)[:30]) for cell in facts.known.unique().to_pylist()[:3])
        told = ""
        if facts.number_share[0] >= 0.3:
            told = f"{1 - facts.number_share[0]:.0%} of its cells are no numbers; "
        raise LiftError(
            f"{name!r} holds {facts.distinct:,} different texts in {rows:,} rows ({some}): {told}a "
            f"target is numbers, or at most {MOST_CLASSES} classes. Name a column of those, or add "
            f"one."
        )
    if log_target:
        raise LiftError(f"{name!r} holds classes, which have no logarithm: leave --log-target out.")
    counts = sorted(facts.known.value_counts().to_pylist(), key=lambda one: -one["counts"])
    some = ", ".join(f"{one['values']} {one['counts'] / rows:.0%}" for one in counts[:3])
    more = "…" if len(counts) > 3 else ""
    return Target("class", False, f"{facts.distinct:,} classes: {some}{more}{lacking}")


def _number(facts: Facts, log_target: bool | None, lacking: str) -> Target:
    numbers = facts.numbers.to_numpy()
    kind = "integer" if facts.is_whole else "number"
    few = kind == "integer" and facts.distinct <= 20
    span = f"numbers from {numbers.min():,.6g} to {numbers.max():,.6g}"
    if facts.distinct == 2:
        span, few = f"two values, {numbers.min():,.6g} and {numbers.max():,.6g}", True
    if facts.number_share[0] < 1:
        wrong = facts.known.filter(_not_numbers(facts)).to_pylist()
        lacking += f"; {len(wrong):,} cells are none, such as {str(wrong[0])[:20]!r}, and left out"
    positive = bool((numbers > 0).all())
    if log_target and not positive:
        raise LiftError(
            f"{facts.name!r} has values at or below zero, which have no logarithm: leave "
            f"--log-target out."
        )
    skewed = positive and not few and numbers.mean() > SKEWED * np.median(numbers)
    logged = skewed if log_target is None else log_target
    told = "; skewed, so its logarithm is predicted (--no-log-target for the number itself)"
    return Target(kind, bool(logged), span + lacking + (told if logged else ""))


def _not_numbers(facts: Facts) -> object:
    from deepfeast.pipelines.start.convert import as_numbers

    return as_numbers(facts.known, facts.number_share[1]).is_null()


def target_candidates(facts: Mapping[str, Facts]) -> list[str]:
    """Name columns that could be a target, the likeliest first."""
    could = [
        name
        for name, one in facts.items()
        if one.distinct > 1 and one.is_flat and not one.time_format
        if one.number_share[0] >= MANY or one.distinct <= min(MOST_CLASSES, len(one.known) // 4)
    ]
    return sorted(could, key=lambda name: not LIKELY.search(name))[:12]
