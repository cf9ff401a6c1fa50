"""What a run would do and take, before it does anything.

All that is to be read is read once, as a run would, in a folder for temporary files; each encoder
encodes a sample, and the rest is multiplied out. Nothing is written to the table.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.pipelines.embed.folder import RunFolder
from deepfeast.pipelines.embed.job import Job, Progress, silent
from deepfeast.pipelines.embed.news import News, find_news
from deepfeast.pipelines.embed.opening import Opening
from deepfeast.transforms.arrow import matrix_to_vectors
from deepfeast.transforms.cells.content import read_contents
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.encoders.cache import loaded
from deepfeast.transforms.files.slices import Slice, read_slice, stored_bytes
from deepfeast.transforms.views import find_deep_view

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation as Relation
    from feast import FeatureStore

    from deepfeast.transforms.encoders import Encoder

# An encoder is tried on contents of this many slices, at most so many of them, for so long.
SLICES, SAMPLE, SECONDS = 4, 1024, 2.0
FIRST = 16


@dataclass
class Forecast:
    """What a run would do.

    Attributes
    ----------
    view : str
    source_rows, rows : int
        Rows of the source, and those that are new.
    files, unchanged : int
        Files of the source that are read, and those that have not changed since the last run.
    bytes : int
        To read from them, as they lie there; contents that lie elsewhere do not count.
    encode : dict of str to int
        Contents to encode, by feature.
    reused : int
        Contents whose vectors the table or an earlier run has, or that another row has, too.
    unreadable : int
        Cells, and rows without a key or a time, that would be rejects.
    rates : dict of str to float
        Contents a second that the encoder of a feature took of a sample here.
    stages : dict of str to float
        Seconds that a run would take here, by stage: hash, plan, encode, write.
    """

    view: str
    source_rows: int = 0
    rows: int = 0
    files: int = 0
    unchanged: int = 0
    bytes: int = 0
    encode: dict[str, int] = field(default_factory=dict)
    reused: int = 0
    unreadable: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """What a run would take here."""
        return sum(self.stages.values())

    def summary(self) -> str:
        """Tell it in a few lines."""
        skipped = f", {self.unchanged:,} unchanged" if self.unchanged else ""
        lines = [
            f"{self.view}: {self.rows:,} of {self.source_rows:,} rows are new",
            f"  to read: {self.files:,} files{skipped}; {self.bytes / 1e6:,.1f} MB",
        ]
        for name, count in self.encode.items():
            rate = f", {self.rates[name]:,.0f} a second here" if name in self.rates else ""
            lines.append(f"  to encode for {name}: {count:,} contents{rate}")
        lines.append(f"  reused: {self.reused:,} contents; unreadable: {self.unreadable:,} cells")
        stages = ", ".join(f"{name} {seconds:,.1f}" for name, seconds in self.stages.items())
        lines.append(f"  expected on this machine: {self.seconds:,.0f} s ({stages})")
        return "\n".join([*lines, "  Nothing was written."])

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return {**dataclasses.asdict(self), "seconds": self.seconds}


def forecast(
    store: FeatureStore,
    view: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    fit_until: datetime | None = None,
    rebuild: bool = False,
    reread: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Forecast:
    """Say what `embed` would do with the same arguments, and write nothing.

    It reads what a run would read, on this machine and in one process, and encodes a sample.

    Parameters
    ----------
    store, view, since, until, fit_until, rebuild, reread, threads, progress
        As for `embed`.

    Returns
    -------
    Forecast

    Raises
    ------
    SourceError, FeatureNotFound, FingerprintMismatch, TableDamaged
        As `embed` would.
    """
    from deepfeast.pipelines.options import local_threads

    feature_view, spec = find_deep_view(store, view)
    table = embedding_table(store, feature_view)
    found = Forecast(view)
    threads = threads or local_threads(())
    with tempfile.TemporaryDirectory(prefix="deepfeast-plan-") as scratch:
        folder = RunFolder(Path(scratch) / "run")
        opening = Opening(store, feature_view, spec, table, table.open(), folder, rebuild, reread)
        open_job = functools.partial(opening.job, "plan", since, until, fit_until, threads)
        clock = Clock(found)
        with find_news(
            opening, open_job, functools.partial(clock.hash, progress or silent)
        ) as news:
            found.source_rows, found.unchanged = opening.rows, len(opening.choice.kept)
            if news:
                found.rows = news.rows
                found.files = len({part.path for part in news.job.source.slices})
                found.bytes = stored_bytes(news.job.source.slices, _columns(news.job))
                found.unreadable = news.find_rejects(encoded=False).cells
                clock.lap("plan")
                Rest(found, news, opening).count()
    return found


class Clock:
    """Takes the time of what a run would do just so."""

    def __init__(self, found: Forecast):
        self.found, self._last = found, time.monotonic()

    def lap(self, stage: str) -> None:
        """Note that what passed since the last lap was this stage's."""
        now = time.monotonic()
        self.found.stages[stage] = now - self._last
        self._last = now

    def hash(self, progress: Progress, job: Job) -> None:
        """Hash the slices of a job, here."""
        from deepfeast.pipelines.beam import run_stage
        from deepfeast.pipelines.embed.stages import HashSlice

        self._last = time.monotonic()
        run_stage(
            "Hash",
            job.source.slices,
            HashSlice(job),
            options=(),
            done=job.folder.hashed(),
            total=job.source.rows,
            progress=progress,
        )
        self.lap("hash")


class Rest:
    """Counts what is left to do after the plan, and multiplies out what it takes."""

    def __init__(self, found: Forecast, news: News, opening: Opening):
        self.found, self.news, self.job = found, news, news.job
        self.dims = {name: encoder.dim for name, encoder in opening.encoders.encoders.items()}
        self.parts = {part.number: part for part in self.job.source.slices}

    def count(self) -> None:
        """Fill in what is to be encoded, and how long encoding and writing take."""
        found, rows = self.found, max(1, self.job.source.rows)
        read, plan = found.stages["hash"] / rows, found.stages["plan"] / rows
        encode = 0.0
        for spill, features in self.job.groups():
            for name, missing in self.news.missing(spill, features, copy=False):
                count, seconds = self._encode(name, missing)
                found.encode[name] = count
                encode += seconds + count * read
        found.reused = self.news.contents - sum(found.encode.values())
        found.stages["encode"] = encode
        found.stages["write"] = found.rows * (plan + self._write())

    def _encode(self, name: str, missing: Relation) -> tuple[int, float]:
        """Return how many contents there are, and the seconds that the encoder takes."""
        slices = missing.aggregate("slice, count(*)", "slice").order("slice").fetchall()
        count = sum(found for _, found in slices)
        if not count:
            return 0, 0.0
        feature = next(feature for feature in self.job.features if feature.name == name)
        parts = [self.parts[number] for number, _ in slices]
        self.found.bytes += stored_bytes(parts, [feature.column])
        few = slices[:: max(1, len(slices) // SLICES)][:SLICES]
        contents = [value for part, _ in few for value in self._contents(name, part, missing)]
        encoder = loaded(feature, self.job.threads, self.job.states[name])
        self.found.rates[name] = rate_of(encoder, contents)
        return count, count / self.found.rates[name]

    def _contents(self, name: str, number: int, missing: Relation) -> Iterator[Any]:
        """Read some of the contents of a slice that are to be encoded."""
        feature = next(feature for feature in self.job.features if feature.name == name)
        most = SAMPLE // SLICES
        wanted = missing.filter(f"slice = {number}").order('"row"').limit(most)
        rows = np.array([row for (row,) in wanted.project('"row"').fetchall()])
        part: Slice = self.parts[number]
        for offset, batch in read_slice(part, [feature.column]):
            low, high = np.searchsorted(rows, [offset, offset + len(batch)])
            cells = batch.column(0).take(pa.array(rows[low:high] - offset))
            values = read_contents(cells, self.job.readers[name]).values
            yield from (value for value in values if value is not None)
            if high == len(rows):
                return

    def _write(self) -> float:
        """Return the seconds that a row's vectors take to be written as Parquet."""
        rows = 4096
        start = time.monotonic()
        columns = {
            name: matrix_to_vectors(np.zeros((rows, dim), np.float32), np.ones(rows, bool))
            for name, dim in self.dims.items()
        }
        pq.write_table(pa.table(columns), io.BytesIO(), use_dictionary=False)
        return (time.monotonic() - start) / rows


def rate_of(encoder: Encoder, contents: Sequence[Any]) -> float:
    """Return how many contents a second an encoder takes, once it is loaded and warm."""
    encoder.encode_safely(contents[:FIRST])
    done, size, start = 0, FIRST, time.monotonic()
    # In ever larger batches: small ones would belittle a fast encoder, large ones take long.
    while done < len(contents) and time.monotonic() - start < SECONDS:
        batch = contents[done : done + size]
        encoder.encode_safely(batch)
        done, size = done + len(batch), 2 * size
    return max(done, 1) / max(time.monotonic() - start, 1e-9)


def _columns(job: Job) -> list[str]:
    """Name the columns that a run reads."""
    times = filter(None, (job.source.timestamp, job.source.created))
    return [*job.keys, *(feature.column for feature in job.features), *times]
