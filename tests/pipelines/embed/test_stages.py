"""The stages one by one, without a runner: what each reads, and what it leaves."""

from datetime import datetime, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.embed.folder import RunFolder, Spill
from deepfeast.pipelines.embed.job import Job
from deepfeast.pipelines.embed.stages import EncodeSlice, HashSlice, WriteRows
from deepfeast.transforms.cells.content import Reader, TextReader, content_hash
from deepfeast.transforms.features import DeepFeature
from deepfeast.transforms.files.slices import Slice, Source

DAYS = [datetime(2024, 1, day, tzinfo=timezone.utc) for day in (1, 2, 3, 4)]
TITLES = ["red shirt", "poison", None, "hat"]
VEC = DeepFeature(
    "vec", column="title", encoder="python:deepfeast.transforms.testing:WordLengths?dim=2"
)


@pytest.fixture
def make(tmp_path):
    """A job over four rows in one slice; the key of the last is null."""
    raw = tmp_path / "raw.parquet"
    columns = {"id": ["a", "b", "c", None], "event_timestamp": DAYS, "title": TITLES}
    pq.write_table(pa.table(columns), raw)
    part = Slice(0, str(raw), 0, 0, 4, raw.stat().st_size)
    source = Source("raw", str(raw), "event_timestamp", "", (part,), str(tmp_path))
    folder, spill = RunFolder(tmp_path / "run"), Spill(tmp_path / "spill")
    folder.make()
    spill.make()

    def job(**options):
        readers: dict[str, Reader] = {"vec": TextReader()}
        spills = {"vec": spill}
        return Job(
            "run", folder, source, ("id",), (VEC,), readers, spills, {"vec": None}, **options
        )

    return job


def hash_of(job):
    assert list(HashSlice(job).process(job.source.slices[0])) == [4]
    (path,) = job.folder.hashes()
    return pq.read_table(path).to_pylist()


def rejected(files):
    return [(row["id"], row["reason"]) for path in files for row in pq.read_table(path).to_pylist()]


def test_hashing_keeps_rows_with_a_key_and_says_what_they_contain(make):
    job = make()
    rows = hash_of(job)
    assert [(row["row"], row["id"]) for row in rows] == [(0, "a"), (1, "b"), (2, "c")]
    assert [row["vec_hash"] for row in rows] == [
        content_hash("red shirt"),
        content_hash("poison"),
        None,
    ]
    assert rejected(job.folder.unread()) == [(None, "key_missing")]
    assert job.folder.hashed()() == 4


def test_rows_outside_the_window_take_no_part(make):
    second = int(DAYS[1].timestamp() * 1_000_000)
    third = int(DAYS[2].timestamp() * 1_000_000)
    assert [row["id"] for row in hash_of(make(since=second, until=third))] == ["b"]


def encode(job, *rows):
    """Encode some rows of the slice, as the plan would list them."""
    listed = {
        "slice": pa.array([0] * len(rows), pa.int32()),
        "row": pa.array(rows, pa.int32()),
        "id": ["abc"[row] for row in rows],
        "event_timestamp": [DAYS[row] for row in rows],
        "hash": [content_hash(TITLES[row]) for row in rows],
    }
    pq.write_table(pa.table(listed), job.folder.todo("vec", 0))
    element = (job.source.slices[0], "vec", job.folder.todo("vec", 0))
    return sum(EncodeSlice(job).process(element))


def test_encoding_spills_vectors_and_writes_rejects(make):
    job = make()
    assert encode(job, 0, 1) == 2
    (hashes,) = job.spills["vec"].hashes()
    assert pq.read_table(hashes)["hash"].to_pylist() == [content_hash("red shirt")]
    assert Spill.vectors(hashes).tolist() == [[3, 5]]
    assert rejected(job.folder.unencoded()) == [("b", "poisoned")]
    assert list(job.folder.notes()) == ["vec"]


def test_a_second_attempt_takes_what_the_first_has_spilled(make):
    job = make()
    assert encode(job, 0, 1) == 2
    assert encode(job, 0, 1) == 0
    assert len(job.spills["vec"].hashes()) == 1
    assert rejected(job.folder.unencoded()) == [("b", "poisoned")]


def test_a_worker_leaves_word_that_it_has_begun(make):
    stage = EncodeSlice(make())
    assert not stage.begun()
    HashSlice(stage.job).setup()
    assert not stage.begun()
    stage.setup()
    assert stage.begun()


def test_what_changed_since_it_was_hashed_is_a_reject(make, tmp_path):
    job = make()
    ids = ["a", "b", "c", None]
    columns = {"id": ids, "event_timestamp": DAYS, "title": ["rot shirt", *TITLES[1:]]}
    pq.write_table(pa.table(columns), tmp_path / "raw.parquet")
    assert (tmp_path / "raw.parquet").stat().st_size == job.source.slices[0].size
    encode(job, 0)
    assert rejected(job.folder.unencoded()) == [("a", "changed_during_run")]


def test_writing_puts_vectors_beside_their_rows(make, tmp_path):
    job = make()
    encode(job, 0)
    job.folder.write_places(job.spills["vec"].hashes())
    planned = {
        "id": ["a", "c"],
        "event_timestamp": pa.array([DAYS[0], DAYS[2]], pa.timestamp("us", "UTC")),
        "vec_hash": [content_hash("red shirt"), None],
        "vec_place": pa.array([0, None], pa.int64()),
    }
    path = job.folder.write_rows(0, pa.table(planned))
    (tmp_path / "data").mkdir()
    write = WriteRows(job, tmp_path / "data", {"vec": 2}, created=1_000_000)
    write.setup()
    assert list(write.process(path)) == [2]
    (part,) = job.folder.parts()
    assert (part["rows"], part["missing"]) == (2, {"vec": 1})
    rows = pq.read_table(tmp_path / "data" / part["path"]).to_pylist()
    assert [(row["id"], row["vec"], row["vec_hash"]) for row in rows] == [
        ("a", [3, 5], content_hash("red shirt")),
        ("c", None, None),
    ]
    assert rows[0]["created_timestamp"] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)
