"""What the doctor finds, as plain data, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from deepfeast.pipelines.junit import Check


@dataclass(frozen=True)
class Finding:
    """One thing to mend.

    Attributes
    ----------
    level : {"error", "warning"}
        An error gives wrong or no values; a warning may, or costs time.
    where : str
        What it is about, e.g. ``view listing_deep``.
    what : str
        What is wrong, and what follows from it.
    mend : str
        What to do.
    """

    level: Literal["error", "warning"]
    where: str
    what: str
    mend: str


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
        f"{finding.level:<8} {finding.where}: {finding.what}\n{'':9}→ {finding.mend}"
        for finding in findings
    ]
    return "\n".join(lines) or "nothing to mend"


def exit_status(findings: Iterable[Finding], strict: bool = False) -> int:
    """Return 1 where one of the findings is an error, or `strict` and there is any; for CI."""
    return int(any(strict or finding.level == "error" for finding in findings))


def checks(findings: Sequence[Finding], strict: bool = False) -> list[Check]:
    """Turn findings into checks that fail where `exit_status` counts them."""
    told = []
    for finding in findings:
        text = f"{finding.what}\n{finding.mend}"
        fails = exit_status([finding], strict)
        told.append(Check(finding.where, text if fails else "", "" if fails else text))
    return told or [Check("nothing to mend")]
