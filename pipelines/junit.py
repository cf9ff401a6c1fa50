"""What was checked, as JUnit XML: every CI shows it beside the tests."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deepfeast.transforms.files.write import whole

# XML has no way to write these.
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes
    ----------
    name : str
    failure : str
        Why it does not hold; empty where it does.
    told : str
        What else is to be read beside it.
    """

    name: str
    failure: str = ""
    told: str = ""


def write_junit(path: Path, suite: str, checks: Sequence[Check], seconds: float = 0.0) -> None:
    """Write checks as a JUnit file, whole or not at all.

    Parameters
    ----------
    path : Path
    suite : str
        What they are checks of, e.g. ``"deepfeast doctor"``.
    checks : sequence of Check
    seconds : float
        That all of them took.
    """
    failures = sum(bool(check.failure) for check in checks)
    counts = {
        "name": suite,
        "time": f"{seconds:.3f}",
        "tests": str(len(checks)),
        "failures": str(failures),
        "errors": "0",
        "skipped": "0",
    }
    root = ET.Element("testsuites")
    body = ET.SubElement(root, "testsuite", counts)
    for check in checks:
        name, failure, told = (
            UNWRITABLE.sub("?", text) for text in (check.name, check.failure, check.told)
        )
        case = ET.SubElement(body, "testcase", classname=suite.replace(" ", "."), name=name)
        if failure:
            ET.SubElement(case, "failure", message=failure.splitlines()[0]).text = failure
        if told:
            ET.SubElement(case, "system-out").text = told
    ET.indent(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as aside:
        ET.ElementTree(root).write(aside, encoding="utf-8", xml_declaration=True)
