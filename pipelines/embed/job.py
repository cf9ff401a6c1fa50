"""An embed job as plain data: what every worker must know of it, and what it did in the end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from deepfeast.pipelines.embed.folder import RunFolder, Spill
from deepfeast.pipelines.embed.plan import Columns
from deepfeast.transforms.cells.content import Reader
from deepfeast.transforms.embeddings.tombstones import Tombstones
from deepfeast.transforms.features import DeepFeature
from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.slices import EVENT_TIME, Source

# Values held and encoded at a time: a killed run loses no more than this of its work.
WINDOW = 4096

Progress = Callable[..., None]


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Report no progress."""


@dataclass
class Run:
    """What a run did.

    Attributes
    ----------
    view, run_id : str
    version : int or None
        Of the embedding table after it; None where nothing was committed.
    source_rows, rows : int
        Rows of the source, and those written because they were new.
    unchanged : int
        Files of the source that were not read, since they have not changed since the last run.
    encoded, reused, missing, rejected : int
        Contents that went through a network, that were found in the table or an earlier run or
        a row of this one, cells without content, and cells that could not be encoded.
    reasons : dict of str to dict
        By reason of rejection: ``count`` and up to three ``examples``.
    bytes : int
        Of the data files that were published.
    fingerprints : dict of str to str
        Of the encoder, by feature.
    seconds : float
    stages : dict of str to float
        The same by stage, as far as it came: hash, plan, encode, write, publish.
    """

    view: str
    run_id: str
    version: int | None = None
    source_rows: int = 0
    unchanged: int = 0
    rows: int = 0
    encoded: int = 0
    reused: int = 0
    missing: int = 0
    rejected: int = 0
    reasons: dict[str, dict[str, Any]] = field(default_factory=dict)
    bytes: int = 0
    fingerprints: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    def reached(self, stage: str) -> None:
        """Note that a stage has ended: what was not noted yet is its time."""
        elapsed = time.monotonic() - self._began
        self.stages[stage] = round(elapsed - sum(self.stages.values()), 6)

    def summary(self) -> str:
        """Tell in a line what was done."""
        files = f", {self.unchanged:,} unchanged files not read" if self.unchanged else ""
        if self.version is None:
            return (
                f"{self.view}: nothing new in {self.source_rows:,} rows{files}; nothing committed"
            )
        return (
            f"{self.view}: {self.rows:,} of {self.source_rows:,} rows were new: {self.encoded:,} "
            f"contents encoded, {self.reused:,} reused, {self.missing:,} missing, "
            f"{self.rejected:,} rejected{files}; version {self.version}, {self.seconds:.1f} s"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Job:
    """What every worker must know of a run.

    Attributes
    ----------
    run_id : str
    folder : RunFolder
    source : Source
    keys : tuple of str
        Join keys.
    features : tuple of DeepFeature
    readers : dict of str to Reader
        By feature, what turns its cells into contents.
    spills : dict of str to Spill
        By feature, where its vectors are collected.
    states : dict of str to Path or BucketPath
        By feature, the file of what was fitted, if anything.
    threads : int, optional
        Threads of a network.
    since, until : int, optional
        Window of event time in microseconds since 1970, `until` excluded.
    forgotten : Tombstones, optional
        Keys whose rows take no part.
    """

    run_id: str
    folder: RunFolder
    source: Source
    keys: tuple[str, ...]
    features: tuple[DeepFeature, ...]
    readers: dict[str, Reader]
    spills: dict[str, Spill]
    states: dict[str, Place | None]
    threads: int | None = None
    since: int | None = None
    until: int | None = None
    forgotten: Tombstones | None = None

    def window(self, *features: DeepFeature) -> int:
        """Return how many rows of these features a worker holds at a time."""
        return min(WINDOW, *(self.readers[feature.name].window for feature in features))

    def columns(self, features: Sequence[str] = ()) -> Columns:
        """Return the columns of the plan, of some features or of all."""
        names = tuple(features) or tuple(feature.name for feature in self.features)
        return Columns((*self.keys, self.source.timestamp), names)

    def groups(self) -> list[tuple[Spill, list[str]]]:
        """Group the features by encoder: they share their vectors."""
        groups: dict[Spill, list[str]] = {}
        for feature in self.features:
            groups.setdefault(self.spills[feature.name], []).append(feature.name)
        return list(groups.items())

    def key_schema(self) -> list[pa.Field]:
        """Return the fields that say which row: keys and event time, keys as in the source."""
        schema = self.source.schema()
        fields = [schema.field(key) for key in self.keys]
        return [*fields, pa.field(self.source.timestamp, EVENT_TIME)]
