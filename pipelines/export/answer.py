"""What an export did, as a terminal and JSON have it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Exported:
    """What an export did.

    Attributes
    ----------
    view, to : str
        The view, and where its rows are now.
    version : int
        The version of the embedding table that is there now.
    rows : int
        Rows that were written.
    runs : list of str
        The runs that they are of.
    removed, forgotten : int
        Rows of other versions that were removed, and of forgotten keys.
    notes : list of str
        What is not as one may expect.
    """

    view: str
    to: str
    version: int
    rows: int
    runs: list[str]
    removed: int = 0
    forgotten: int = 0
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        """Say it for a terminal.

        >>> print(Exported("deep", "postgres://db:5432/shop.public.deep", 2, 5000, ["b"], 4000))
        deep: 5,000 rows of 1 run are in postgres://db:5432/shop.public.deep now
          removed: 4,000 rows of other versions; version 2 is there
        >>> print(Exported("deep", "postgres://db:5432/shop.public.deep", 2, 0, []))
        deep: nothing new for postgres://db:5432/shop.public.deep
        """
        runs = f"{len(self.runs):,} run{'s' * (len(self.runs) != 1)}"
        told = [f"{self.view}: {self.rows:,} rows of {runs} are in {self.to} now"]
        if not self.rows:
            told = [f"{self.view}: nothing new for {self.to}"]
        if self.removed:
            told.append(
                f"  removed: {self.removed:,} rows of other versions; version {self.version} is "
                f"there"
            )
        if self.forgotten:
            told.append(f"  removed: {self.forgotten:,} rows of forgotten keys")
        return "\n".join([*told, *(f"  {note}" for note in self.notes)])
