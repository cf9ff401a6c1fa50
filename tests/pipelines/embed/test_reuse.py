import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.embed.folder import Spill
from deepfeast.pipelines.embed.reuse import reuse

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


def test_what_the_table_has_is_copied_once_and_what_it_lacks_is_not(table, tmp_path):
    spill = Spill(tmp_path / "spill")
    spill.make()
    reuse(table, ["vec"], pa.chunked_array([[A, B, C, D]]), spill, "run")
    assert spilled(spill) == {A: [3, 5], C: [4, 0]}
    assert [len(pq.read_table(path)) for path in spill.hashes()] == [1, 1]


def test_nothing_wanted_opens_nothing(table, tmp_path):
    spill = Spill(tmp_path / "spill")
    spill.make()
    reuse(table, ["vec"], pa.chunked_array([[D]]), spill, "run")
    reuse(table, [], pa.chunked_array([[A]]), spill, "run")
    assert spill.hashes() == []
