"""What one commit of an embedding table says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

META = "deepfeast"
# What a commit that is no run was, and says of itself in its metadata. A takeover adds nothing: it
# stands where the commit of a run that lost its lease would go.
KINDS = ("compact", "forget", "rollback", "takeover")


@dataclass(frozen=True)
class Commit:
    """One commit of an embedding table.

    Attributes
    ----------
    version : int
        Of the Delta table.
    time : datetime
        When it was published, in UTC.
    meta : dict
        ``run_id``, ``generation``, ``fingerprints``, ``spec``, ``counts``, ``versions`` (of
        libraries) and what else the run noted.
    """

    version: int
    time: datetime
    meta: dict[str, Any]

    @property
    def kind(self) -> str:
        """What was published: a ``run``, or one of `KINDS`."""
        return next((kind for kind in KINDS if kind in self.meta), "run")

    @property
    def folder(self) -> str:
        """Where the data files lie that it made, within the table's folder."""
        what = self.meta.get(self.kind)
        return what["folder"] if isinstance(what, dict) else str(self.meta["run_id"])

    @property
    def files(self) -> dict[str, list[dict[str, Any]]]:
        """The data files of earlier versions that it wrote anew, by number of the version."""
        what = self.meta.get(self.kind)
        return what.get("files", {}) if isinstance(what, dict) else {}

    def followed_by(self, kind: str, what: Any) -> dict[str, Any]:
        """Return the metadata of a commit of some kind that goes on from this one."""
        return {name: v for name, v in self.meta.items() if name not in KINDS} | {kind: what}
