"""Write docs/contributing/licences.md: what deepfeast installs, under which licences.

Read from the metadata of what is installed here: `make licences`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).resolve().parent / "contributing" / "licences.md"
HEAD = """# Licences of what is installed with deepfeast

Written by `make licences` from the metadata of installed packages: what `pip install deepfeast`
brings, on the machine that wrote it; extras are left out. deepfeast itself is Apache-2.0. All are
open source but nvidia-nccl, which XGBoost brings for GPUs; a machine without one needs none:
`pip uninstall nvidia-nccl-cu12`.

| package | version | licence |
| --- | --- | --- |
"""
# Spellings of the metadata, as SPDX has them.
SPELLINGS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


def main() -> None:
    """Write the page."""
    found = {plain(d.name): d for d in needed("deepfeast", set(), set())}
    del found["deepfeast"]
    rows = [f"| {d.name} | {d.version} | {licence(d)} |" for _, d in sorted(found.items())]
    PAGE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    print(f"{PAGE}: {len(rows)} packages")


def needed(name: str, extras: set[str], seen: set[tuple[str, str]]) -> Iterator[Distribution]:
    """Yield a package and all that it needs; what is not installed is not needed here."""
    asked = {(plain(name), extra) for extra in ("", *extras)} - seen
    if not asked:
        return
    seen |= asked
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return
    yield found
    for line in found.requires or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for _, extra in asked):
            yield from needed(requirement.name, requirement.extras, seen)


def licence(package: Distribution) -> str:
    """Return a package's licence: its expression, or what its older metadata says.

    A whole text of a licence stands in some of them; the classifier then says which it is.
    """
    told = package.metadata.get("License-Expression")
    if told:
        return told
    field = (package.metadata.get("License") or "").strip()
    classes = [c for c in package.metadata.get_all("Classifier") or [] if c.startswith("License")]
    short = [c.rsplit(" :: ", 1)[-1] for c in classes if "OSI Approved ::" in c]
    if field and "\n" not in field and len(field) < 40 and field not in ("BSD", "Dual License"):
        return SPELLINGS.get(field, field)
    return " or ".join(SPELLINGS.get(name, name) for name in short) or field[:40] or "not stated"


def plain(name: str) -> str:
    """Spell a package's name as indexes compare it.

    >>> plain("Typing_Extensions")
    'typing-extensions'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
