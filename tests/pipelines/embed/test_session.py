import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.embed.folder import Spill
from deepfeast.pipelines.embed.session import MEMORY_LIMIT, opened, parquet, spilled


@pytest.mark.parametrize("name", ["plain", "o'brien", "data[1]", "a b", "\u00fc", "what?", "all*"])
def test_any_folder_can_be_read(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    pq.write_table(pa.table({"id": ["a"]}), folder / "1.parquet")
    with opened(folder / "overflow") as session:
        assert parquet(session, [folder / "1.parquet"]).fetchall() == [("a",)]


def test_no_files_are_no_relation(tmp_path):
    with opened(tmp_path) as session:
        assert parquet(session, []) is None
        assert spilled(session, [], 0).fetchall() == []


def test_a_session_spills_what_its_limit_does_not_hold(tmp_path):
    with opened(tmp_path / "overflow") as session:
        found = session.sql("select current_setting('memory_limit')").fetchall()[0][0]
        where = session.sql("select current_setting('temp_directory')").fetchall()[0][0]
    assert (MEMORY_LIMIT, where) == ("256MB", str(tmp_path / "overflow"))
    assert found == "244.1 MiB"


def test_a_place_is_a_file_and_a_position_within(tmp_path):
    spill = Spill(tmp_path / "spill")
    spill.make()
    for name, hashes in (("1", [b"a", b"b"]), ("2", [b"b", b"c"])):
        spill.write(name, pa.chunked_array([hashes]), np.zeros((2, 1), np.float32))
    with opened(tmp_path) as session:
        found = dict(spilled(session, spill.hashes(), 5).fetchall())
    # What two files have is taken from the first.
    assert found == {b"a": 5 * 2**32, b"b": 5 * 2**32 + 1, b"c": 6 * 2**32 + 1}
