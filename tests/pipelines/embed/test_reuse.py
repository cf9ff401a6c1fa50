import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.embed.folder import Spill
from deepfeast.pipelines.embed.reuse import reuse
from deepfeast.pipelines.embed.session import opened

A, B, C, D = (letter * 16 for letter in (b"a", b"b", b"c", b"d"))


@pytest.fixture
def table(tmp_path):
    """An embedding table of two files; b was rejected, and a stands twice."""
    rows: list[list[tuple]] = [[(A, [3, 5]), (B, None), (A, [3, 5])], [(C, [4, 0]), (A, [3, 5])]]
    for number, part in enumerate(rows):
        hashes, vectors = zip(*part, strict=True)
        columns = {
            "vec": pa.array(vectors, pa.list_(pa.float32())),
            "vec_hash": pa.array(hashes, pa.binary()),
        }
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    return ds.dataset(sorted(tmp_path.glob("*.parquet")))


def spilled(spill):
    found: dict[bytes, list[float]] = {}
    for path in spill.hashes():
        hashes = pq.read_table(path)["hash"].to_pylist()
        found |= dict(zip(hashes, Spill.vectors(path).tolist(), strict=True))
    return found


@pytest.fixture
def session(tmp_path):
    with opened(tmp_path / "overflow") as session:
        yield session


def wanted(session, *hashes):
    return session.from_arrow(pa.table({"hash": pa.array(hashes, pa.binary())}))


def test_what_the_table_has_is_copied_once_and_what_it_lacks_is_not(session, table, tmp_path):
    spill = Spill(tmp_path / "spill")
    spill.make()
    found = reuse(session, table, ["vec"], wanted(session, A, B, C, D), spill, "run")
    assert sorted(found.fetchall()) == [(A,), (C,)]
    assert spilled(spill) == {A: [3, 5], C: [4, 0]}
    assert [len(pq.read_table(path)) for path in spill.hashes()] == [1, 1]


def test_what_is_only_asked_for_is_not_copied(session, table, tmp_path):
    found = reuse(session, table, ["vec"], wanted(session, A, B, D), None, "run")
    assert found.fetchall() == [(A,)]
    assert not (tmp_path / "spill").exists()


def test_nothing_wanted_opens_nothing(session, table, tmp_path):
    spill = Spill(tmp_path / "spill")
    spill.make()
    reuse(session, table, ["vec"], wanted(session, D), spill, "run")
    reuse(session, table, [], wanted(session, A), spill, "run")
    assert spill.hashes() == []


def test_what_two_columns_have_is_taken_from_the_first(session, tmp_path):
    columns = {
        "one": pa.array([[1, 1]], pa.list_(pa.float32())),
        "one_hash": pa.array([A], pa.binary()),
        "two": pa.array([[2, 2]], pa.list_(pa.float32())),
        "two_hash": pa.array([B], pa.binary()),
    }
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    spill = Spill(tmp_path / "spill")
    spill.make()
    table = ds.dataset(tmp_path / "table.parquet")
    reuse(session, table, ["one", "two"], wanted(session, A, B, C), spill, "run")
    assert spilled(spill) == {A: [1, 1], B: [2, 2]}
