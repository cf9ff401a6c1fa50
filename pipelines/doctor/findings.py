"""What the doctor finds, as plain data, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from deepfeast.pipelines.junit import Check

LEVELS = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing to mend.

    Attributes
    ----------
    level : {"error", "warning", "note"}
        An error gives wrong or no values; a warning may, or costs time; a note is good to know.
    where : str
        What it is about, e.g. ``view listing_deep``.
    what : str
        What is wrong, and what follows from it.
    mend : str
        What to do; of a note, where there is something.
    """

    level: Literal["error", "warning", "note"]
    where: str
    what: str
    mend: str = ""


def render(findings: Iterable[Finding]) -> str:
    """Write findings for a terminal.

    Examples
    --------
    >>> print(render([Finding("error", "view a", "It was never embedded.", "deepfeast embed a")]))
    error    view a: It was never embedded.
             → deepfeast embed a
    >>> render([])
    'nothing to mend'
    """
    lines = [
        f"{finding.level:<8} {finding.where}: {finding.what}"
        + (f"\n{'':9}→ {finding.mend}" if finding.mend else "")
        for finding in findings
    ]
    return "\n".join(lines) or "nothing to mend"


def exit_status(findings: Iterable[Finding], strict: bool = False) -> int:
    """Return 1 where one of the findings is an error, or a warning and `strict`; for CI."""
    failing = LEVELS[: 1 + strict]
    return int(any(finding.level in failing for finding in findings))


def checks(findings: Sequence[Finding], strict: bool = False) -> list[Check]:
    """Turn findings into checks that fail where `exit_status` counts them."""
    told = []
    for finding in findings:
        text = f"{finding.what}\n{finding.mend}".rstrip()
        fails = exit_status([finding], strict)
        told.append(Check(finding.where, text if fails else "", "" if fails else text))
    return told or [Check("nothing to mend")]
