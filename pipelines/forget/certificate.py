"""What a certificate says: what was removed where, and what remains and why. It names no key."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from deepfeast.pipelines.export.record import read_exports
from deepfeast.transforms.files.bucket import Place


@dataclass(frozen=True)
class Remains:
    """Something that may still have something of a forgotten key.

    Attributes
    ----------
    what, why, mend : str
        What it is, why it is left, and what whoever wants it gone can do.
    """

    what: str
    why: str
    mend: str


@dataclass
class Certificate:
    """What forgetting some keys removed.

    Attributes
    ----------
    view, project : str
    keys : int
        How many were to be forgotten.
    unknown : int
        How many of them were nowhere to be found.
    begun, finished : str
        ISO 8601, in UTC. A call that was killed is begun once, and finished by a later one.
    rows : dict of str to int
        Of the embedding table, by number of a version.
    rejects, online : int
        Rows of the table of rejects, and of the online store.
    files : int
        Files that were deleted: those with such rows, replaced by files without; leftovers of runs,
        collected vectors, and files that no version needed, since nobody can tell whose rows are
        in them. Of a call that was killed, those that the last one deleted.
    caches : list of str
        Caches of lift that were deleted.
    tombstones : int
        Salted hashes that keep forgotten keys out of later runs, these among them.
    remains : list of Remains
    path : str
        Where the certificate lies.
    """

    view: str
    project: str
    keys: int
    unknown: int
    begun: str
    finished: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    rejects: int = 0
    online: int = 0
    files: int = 0
    caches: list[str] = field(default_factory=list)
    tombstones: int = 0
    remains: list[Remains] = field(default_factory=list)
    path: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        """Say it for a terminal.

        >>> left = Remains("the raw source has 3 such rows", "it is not ours", "Delete them there.")
        >>> print(Certificate("deep", "shop", 2, 0, "", rows={"1": 3}, online=2, remains=[left]))
        deep: 2 keys forgotten, 0 of them unknown
          removed: 3 rows of version 1; 0 rejects; 2 rows online; 0 files; 0 caches of lift
          remains: the raw source has 3 such rows: it is not ours. Delete them there.
        """
        rows = [f"{count:,} rows of version {number}" for number, count in self.rows.items()]
        removed = [
            *(rows or ["0 rows of the table"]),
            f"{self.rejects:,} rejects",
            f"{self.online:,} rows online",
            f"{self.files:,} files",
            f"{len(self.caches):,} caches of lift",
        ]
        told = [
            f"{self.view}: {self.keys:,} keys forgotten, {self.unknown:,} of them unknown",
            f"  removed: {'; '.join(removed)}",
            *(f"  remains: {one.what}: {one.why}. {one.mend}" for one in self.remains),
        ]
        return "\n".join([*told, f"  certificate: {self.path}"] if self.path else told)


def copies(scratch: Place, view: str) -> Iterator[Remains]:
    """Name the places in a warehouse that a view was exported to."""
    for where, export in sorted(read_exports(scratch).items()):
        again = f"Run deepfeast export {view} --to {export.to}: it deletes them there."
        yield Remains(
            f"rows in {where}",
            "the view was exported there",
            again if export.transactional else "Delete them there.",
        )
