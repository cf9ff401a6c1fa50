from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from deepfeast.pipelines.embed.folder import RunFolder, Spill, tally, together, window_name


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.make()
    return folder


def table(rows):
    return pa.table({"hash": [b"%016d" % n for n in range(rows)]})


def test_progress_is_what_the_files_themselves_say(folder):
    hashed, rejected, written = folder.hashed(), folder.rejected(), folder.written()
    assert (hashed(), rejected(), written()) == (0, 0, 0)
    # Of 8,192 rows that were read two take part, the others lie outside the window.
    folder.write_hashes(0, table(2), 8192)
    folder.write_hashes(1, table(5), 5)
    folder.write_unread(0, table(9))
    folder.write_unencoded("vec-000000", table(3))
    folder.write_part(folder.path / "rows" / "000000.parquet", {"rows": 7})
    assert (hashed(), rejected(), written()) == (8197, 3, 7)


def test_what_is_written_is_found_again_in_order(folder):
    for number in (1, 0):
        folder.write_hashes(number, table(1), 1)
        folder.write_unread(number, table(1))
        folder.write_part(folder.write_rows(number, table(1)), {"rows": number})
    assert [path.name for path in folder.hashes()] == ["000000.parquet", "000001.parquet"]
    assert [path.stem for path in folder.unread()] == ["read-000000", "read-000001"]
    assert folder.unencoded() == []
    assert folder.parts() == [{"rows": 0}, {"rows": 1}]
    folder.write_places([folder.path / "a.parquet"])
    assert folder.places() == [folder.path / "a.parquet"]


def test_notes_of_workers_are_added_up(folder):
    folder.write_note("vec", 0, {"engine": "bert"}, Counter(truncated=1))
    folder.write_note("vec", 1, {"engine": "bert"}, Counter(truncated=2, tokens=9))
    assert folder.notes() == {
        "vec": {"used": [{"engine": "bert"}], "counts": {"truncated": 3, "tokens": 9}}
    }


def test_nothing_is_left_of_a_run(folder):
    folder.write_hashes(0, table(1), 1)
    folder.remove()
    assert not folder.path.exists()
    folder.remove()


def test_vectors_are_spilled_by_hash(tmp_path):
    spill = Spill(tmp_path / "spill")
    spill.make()
    encoded = spill.encoded("run-2")
    vectors = np.array([[3, 5], [4, 0]], np.float32)
    hashes = pa.chunked_array([[b"a" * 16, b"b" * 16]])
    spill.write_encoded("run-1", "vec-0", hashes, vectors)
    spill.write("run-2-reused-vec", hashes, vectors)
    assert encoded() == 0  # those of another run, and what was there already
    spill.write_encoded("run-2", "vec-0", hashes, vectors)
    assert encoded() == 2
    assert len(spill.hashes()) == 3
    assert Spill.vectors(spill.hashes()[0]).tolist() == [[3, 5], [4, 0]]


def test_two_attempts_at_one_window_have_different_names():
    one, other = window_name("vec", 3, 40), window_name("vec", 3, 40)
    assert one != other
    assert one.startswith("vec-000003-000040-")


def test_the_windows_that_a_run_has_encoded_are_known(tmp_path):
    spill = Spill(tmp_path / "spill")
    spill.make()
    vectors, hashes = np.array([[3, 5]], np.float32), pa.chunked_array([[b"a" * 16]])
    for run, feature, number, start in [
        ("run-1", "vec", 3, 40),
        ("run-1", "vec", 3, 80),
        ("run-1", "vec", 4, 0),
        ("run-2", "vec", 3, 120),
        ("run-1", "other", 3, 160),
    ]:
        spill.write_encoded(run, window_name(feature, number, start), hashes, vectors)
    assert spill.windows("run-1", "vec", 3) == {40, 80}


def test_each_file_is_opened_once(tmp_path):
    opened = []

    def units(path):
        opened.append(path)
        return 2

    count = tally(lambda: tmp_path.iterdir(), units)
    (tmp_path / "a").touch()
    assert (count(), count()) == (2, 2)
    (tmp_path / "b").touch()
    assert together([count, lambda: 1])() == 5
    assert len(opened) == 2
