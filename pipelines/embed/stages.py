"""The three stages of the embed job, as Beam sees them: hash, encode, write.

Each takes small references, reads and writes its own files in one fused step, and says what
it did in a file of its own; `RunFolder` knows where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from deepfeast.pipelines.embed.folder import Spill, window_name, write_table
from deepfeast.pipelines.embed.job import WINDOW, Job
from deepfeast.pipelines.embed.plan import place_column
from deepfeast.transforms.arrow import matrix_to_vectors, pack_vectors, vector_field
from deepfeast.transforms.cells.content import (
    HASH_TYPE,
    Contents,
    hash_array,
    read_contents,
)
from deepfeast.transforms.embed import REJECTS, count
from deepfeast.transforms.embeddings.table import file_options
from deepfeast.transforms.embeddings.tombstones import blank
from deepfeast.transforms.encoders.cache import loaded, turn
from deepfeast.transforms.encoders.column import encode_contents
from deepfeast.transforms.errors import Reject
from deepfeast.transforms.features import CREATED, DeepFeature
from deepfeast.transforms.files.bucket import Place, in_memory, open_input
from deepfeast.transforms.files.slices import EVENT_TIME, Slice, event_times, read_slice
from deepfeast.transforms.int8 import INT8

REJECT_FIELDS = ("column", "feature", "reason", "message")


class Stage(beam.DoFn):
    """A stage of the job, whose workers leave word in the run's folder that they have begun."""

    # Whether one element of it is done sooner than a worker elsewhere begins.
    light = False

    def __init__(self, job: Job):
        self.job = job

    def setup(self) -> None:
        self.job.folder.begin(type(self).__name__)

    def begun(self) -> bool:
        """Tell whether a worker has begun; asked by the driver."""
        return self.job.folder.begun(type(self).__name__)


class HashSlice(Stage):
    """Read a slice and write which rows it has and what they contain, as hashes."""

    def __init__(self, job: Job):
        super().__init__(job)
        # Texts are read with their slice; photos may have to be fetched one by one.
        self.light = job.window(*job.features) == WINDOW

    def process(self, part: Slice) -> Iterator[int]:
        job = self.job
        columns = list(
            dict.fromkeys([*job.keys, *(f.column for f in job.features), *self._times()])
        )
        batches, rejects = [], []
        for offset, batch in read_slice(part, columns, job.window(*job.features)):
            rows, bad = self._hash(part, offset, batch)
            batches.append(rows)
            rejects.append(bad)
        job.folder.write_unread(part.number, pa.concat_tables(rejects))
        job.folder.write_hashes(part.number, pa.concat_tables(batches), part.rows)
        count("read", "rows", part.rows)
        yield part.rows

    def _times(self) -> list[str]:
        source = self.job.source
        return [source.timestamp, source.created] if source.created else [source.timestamp]

    def _hash(self, part: Slice, offset: int, batch: pa.RecordBatch) -> tuple[pa.Table, pa.Table]:
        job, source = self.job, self.job.source
        columns = {key: batch.column(key) for key in job.keys}
        columns[source.timestamp], left_out = self._times_of(part, offset, batch)
        created, unreadable = self._created(part, offset, batch)
        left_out = {**unreadable, **left_out}
        gone = job.forgotten.matches(batch) if job.forgotten else np.zeros(len(batch), bool)
        left_out = {row: why for row, why in left_out.items() if not gone[row]}
        rejects: dict[tuple[int, str], Reject] = {}
        hashes = {}
        for feature in job.features:
            # What is to be forgotten is not even read: a cell may be an address to fetch.
            cells = blank(batch.column(feature.column), gone)
            contents = read_contents(cells, job.readers[feature.name])
            hashes[feature.hash_column] = hash_array(contents.hashes)
            rejects |= {(row, feature.name): why for row, why in contents.rejects.items()}
        table = pa.table(
            {
                "slice": pa.array(np.full(len(batch), part.number, np.int32)),
                "row": pa.array(np.arange(offset, offset + len(batch), dtype=np.int32)),
                **columns,
                "source_created": created,
                **hashes,
            }
        )
        keep = self._keep(table, left_out, gone)
        rejects = {(row, name): why for (row, name), why in rejects.items() if keep[row]}
        rejects |= {(row, ""): why for row, why in sorted(left_out.items())}
        _count_rejects(rejects)
        named = reject_table(job, table.select([*columns]), rejects)
        return table.filter(pa.array(keep)), named

    def _times_of(
        self, part: Slice, offset: int, batch: pa.RecordBatch, created: bool = False
    ) -> tuple[pa.Array, dict[int, Reject]]:
        source = self.job.source
        name = source.created if created else source.timestamp
        first = part.before + part.start + offset
        return event_times(batch.column(name), name, source.file(part), first)

    def _created(
        self, part: Slice, offset: int, batch: pa.RecordBatch
    ) -> tuple[pa.Array, dict[int, Reject]]:
        """Return when rows were written; a row that does not say is the earliest of its time."""
        if not self.job.source.created:
            return pa.nulls(len(batch), EVENT_TIME), {}
        times, rejects = self._times_of(part, offset, batch, created=True)
        return times, {row: why for row, why in rejects.items() if why.reason != "time_missing"}

    def _keep(
        self, table: pa.Table, left_out: dict[int, Reject], gone: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """Tell which rows take part: those in the window, with a time and all of their keys.

        Rows of the window that lack a key join `left_out`; one without a time is of any window.
        """
        job = self.job
        keep = ~gone
        keep[list(left_out)] = False
        times = pc.fill_null(table[job.source.timestamp].cast(pa.int64()), 0).to_numpy()
        if job.since is not None:
            keep &= times >= job.since
        if job.until is not None:
            keep &= times < job.until
        for key in job.keys:
            for row in np.flatnonzero(keep & table[key].is_null().to_numpy()).tolist():
                left_out[row] = Reject(
                    "key_missing", f"the join key {key!r} is null; the row was left out"
                )
                keep[row] = False
        return keep


def reject_table(job: Job, rows: pa.Table, rejects: dict[tuple[int, str], Reject]) -> pa.Table:
    """Write rejects out as rows: key, event time, column, feature, reason, message."""
    columns = {feature.name: feature.column for feature in job.features} | {"": ""}
    chosen = rows.take(pa.array([position for position, _ in rejects], pa.int64()))
    values = [(columns[name], name, why.reason, why.message) for (_, name), why in rejects.items()]
    for index, field in enumerate(REJECT_FIELDS):
        chosen = chosen.append_column(field, pa.array([v[index] for v in values], pa.string()))
    return chosen


def _count_rejects(rejects: dict[tuple[int, str], Reject]) -> None:
    """Count rejects by feature and reason; a row without a key is of no feature."""
    for (name, reason), number in Counter(
        (n, why.reason) for (_, n), why in rejects.items()
    ).items():
        count(f"{REJECTS}_{reason}", name or "row", number)


class EncodeSlice(Stage):
    """Encode those contents of a slice that are nowhere yet, and spill their vectors.

    An element is a slice, a feature, and the file that lists the rows to encode. What a lost
    attempt at it has spilled stays, and is not encoded again.
    """

    def process(self, element: tuple[Slice, str, Place]) -> Iterator[int]:
        part, name, todo = element
        feature = next(f for f in self.job.features if f.name == name)
        rows = pq.read_table(open_input(todo), filters=[("slice", "=", part.number)])
        encoder = loaded(feature, self.job.threads, self.job.states[name])
        noted: Counter[str] = Counter()
        for start, window, contents in self._windows(part, feature, rows):
            with turn(self.job.threads):
                encoded = encode_contents(contents, encoder)
            self._spill(part, feature, start, window, contents, encoded.vectors, encoded.rejects)
            noted.update(encoded.counts)
            count("values", feature.name, len(contents.values))
            count(REJECTS, feature.name, len(encoded.rejects))
            yield len(contents.values)
        for what, number in noted.items():
            count(what, feature.name, number)
        self.job.folder.write_note(name, part.number, encoder.info, noted)

    def _windows(
        self, part: Slice, feature: DeepFeature, todo: pa.Table
    ) -> Iterator[tuple[int, pa.Table, Contents]]:
        """Read the rows to encode again, a window of them at a time."""
        wanted = todo["row"].to_numpy()
        reader = self.job.readers[feature.name]
        done, cells, most = 0, [], self.job.window(feature)
        spilled = self.job.spills[feature.name].windows(self.job.run_id, feature.name, part.number)
        for offset, batch in read_slice(part, [feature.column], most):
            low, high = np.searchsorted(wanted, [offset, offset + len(batch)])
            if low < high:
                cells.append(batch.column(0).take(pa.array(wanted[low:high] - offset)))
            if cells and (high - done >= most or high == len(wanted)):
                if done not in spilled:
                    contents = read_contents(pa.chunked_array(cells), reader)
                    window = todo.slice(done, high - done)
                    yield done, window, _still_the_same(contents, window["hash"].to_pylist())
                done, cells = int(high), []
            if done == len(wanted):
                return

    def _spill(
        self,
        part: Slice,
        feature: DeepFeature,
        start: int,
        window: pa.Table,
        contents: Contents,
        matrix: np.ndarray,
        rejects: dict[int, Reject],
    ) -> None:
        """Write a window's vectors and rejects."""
        name = window_name(feature.name, part.number, start)
        hashes = window["hash"]
        if rejects:
            keys = [*self.job.keys, self.job.source.timestamp]
            named = {(position, feature.name): why for position, why in rejects.items()}
            _count_rejects(named)
            bad = reject_table(self.job, window.select(keys), named).append_column(
                "hash", hashes.take(pa.array(list(rejects), pa.int64()))
            )
            self.job.folder.write_unencoded(name, bad)
            good = np.ones(len(matrix), dtype=bool)
            good[list(rejects)] = False
            matrix, hashes = matrix[good], hashes.filter(pa.array(good))
        self.job.spills[feature.name].write_encoded(self.job.run_id, name, hashes, matrix)


def _still_the_same(contents: Contents, expected: list[bytes]) -> Contents:
    """Reject what changed or vanished since it was hashed: its hash would be a lie."""
    if contents.hashes == expected:
        return contents
    for position, (now, then) in enumerate(zip(contents.hashes, expected, strict=True)):
        if now != then and position not in contents.rejects:
            contents.values[position] = contents.hashes[position] = None
            contents.rejects[position] = Reject(
                "changed_during_run", "its content changed while the job ran; run again"
            )
    return contents


class WriteRows(Stage):
    """Put vectors beside their rows and write one data file of the table.

    An element is the file of planned rows, which say where each vector lies.
    """

    light = True

    def __init__(self, job: Job, target: Place, dims: dict[str, int], created: int):
        super().__init__(job)
        self.target = target
        self.dims = dims
        self.created = created

    def setup(self) -> None:
        super().setup()
        self.files = self.job.folder.places()

    def process(self, planned: Place) -> Iterator[int]:
        rows = pq.read_table(in_memory(planned))
        keys = rows.select([*self.job.keys, self.job.source.timestamp])
        created = pa.array(np.full(len(rows), self.created, np.int64)).cast(EVENT_TIME)
        table = keys.append_column(CREATED, created)
        missing = {}
        for feature in self.job.features:
            vectors = self._gather(rows, feature)
            missing[feature.name] = vectors.null_count
            count("written", feature.name, len(vectors) - vectors.null_count)
            count("null", feature.name, vectors.null_count)
            table = table.append_column(vector_field(feature.name, feature.storage), vectors)
            hashes = rows[feature.hash_column].cast(HASH_TYPE)
            table = table.append_column(feature.hash_column, hashes)
        path = self.target / f"part-{planned.stem}.parquet"
        write_table(table, path, **file_options(keys.column_names))
        size = path.stat().st_size
        count("written", "rows", len(rows))
        count("written", "bytes", size)
        part = {"path": path.name, "size": size, "rows": len(rows), "missing": missing}
        self.job.folder.write_part(planned, part)
        yield len(rows)

    def _gather(self, rows: pa.Table, feature: DeepFeature) -> pa.Array:
        """Collect vectors from the spill, one file open at a time."""
        place = pc.fill_null(rows[place_column(feature.name)], -1).to_numpy()
        numbers, position = place >> 32, place & 0xFFFFFFFF
        matrix = np.full((len(rows), self.dims[feature.name]), np.nan, dtype=np.float32)
        for number in np.unique(numbers[place >= 0]).tolist():
            here = np.flatnonzero(numbers == number)
            vectors = Spill.vectors(self.files[number])
            matrix[here] = vectors[position[here]]
            del vectors
        write = pack_vectors if feature.storage == INT8 else matrix_to_vectors
        return write(matrix, place >= 0)
