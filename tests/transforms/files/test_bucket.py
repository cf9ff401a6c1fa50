import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.errors import BucketError
from deepfeast.transforms.files.bucket import (
    BucketPath,
    at,
    in_memory,
    open_input,
    remove_tree,
    size_of,
)


@pytest.fixture(params=["disk", "bucket"])
def folder(request, tmp_path):
    """A folder on a disk, and one in a bucket."""
    return tmp_path if request.param == "disk" else at(request.getfixturevalue("bucket")) / "deep"


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names(places, folder):
    return sorted(str(place)[len(str(folder)) + 1 :] for place in places)


def test_a_bucket_lists_what_a_disk_lists(folder):
    write(folder, "b.txt", "spill/one/a.parquet", "spill/two/b.parquet", "spill/two/b.npy")
    assert names(folder.iterdir(), folder) == ["b.txt", "spill"]
    assert names(folder.glob("*.txt"), folder) == ["b.txt"]
    assert names(folder.glob("spill/*"), folder) == ["spill/one", "spill/two"]
    assert names(folder.glob("spill/*/*.parquet"), folder) == [
        "spill/one/a.parquet",
        "spill/two/b.parquet",
    ]
    assert (folder / "spill").is_dir()
    assert not (folder / "spil").exists()
    assert size_of(folder / "spill") == 3 * len("spill/one/a.parquet") - 4
    assert (folder / "b.txt").with_suffix(".npy").name == "b.npy"


def test_what_is_empty_or_gone_from_a_bucket_has_no_size(bucket):
    folder = BucketPath(bucket) / "sizes"
    (folder / "nothing" / "empty").write_bytes(b"")
    assert [size_of(folder / name) for name in ("nothing", "gone")] == [0, 0]


def test_a_bucket_writes_reads_and_removes_as_a_disk_does(folder):
    write(folder, "note.txt", "more/note.txt")
    note = folder / "note.txt"
    note.write_text("red")
    assert (note.read_text(), note.stat().st_size, note.is_file()) == ("red", 3, True)
    note.unlink()
    assert not note.exists()
    with pytest.raises(FileNotFoundError):
        note.read_bytes()
    remove_tree(folder)
    assert not folder.exists()


def test_arrow_reads_a_file_wherever_it_lies(folder):
    folder.mkdir(exist_ok=True)
    made = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": range(9), "more": range(9)}), made, row_group_size=3)
    (folder / "a.parquet").write_bytes(made.getvalue().to_pybytes())
    with pq.ParquetFile(open_input(folder / "a.parquet")) as file:
        assert file.read_row_group(2, ["id"])["id"].to_pylist() == [6, 7, 8]
    assert len(pq.read_table(in_memory(folder / "a.parquet"))) == 9
    assert len(pq.read_table(open_input(folder / "a.parquet"), filters=[("id", "=", 4)])) == 1


def test_a_write_on_a_condition_succeeds_once(bucket):
    lock = BucketPath(bucket) / "lock"
    first = lock.put(b"1", None)
    with pytest.raises(FileExistsError, match="written or removed by somebody else"):
        lock.put(b"2", None)
    second = lock.put(b"2", first)
    with pytest.raises(FileExistsError):
        lock.put(b"3", first)
    assert lock.put(b"3", second)
    assert lock.read_bytes() == b"3"


def test_what_crosses_to_a_worker_says_where_and_not_with_which_key():
    told = {"AWS_ENDPOINT_URL": "http://store:9000", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}
    path = BucketPath("s3://never-told-here/deep", {**told, "AWS_ACCESS_KEY_ID": "k33p3r"})
    sent = pickle.dumps(path)
    assert b"s3cr3t" not in sent
    assert b"k33p3r" not in sent
    assert b"http://store:9000" in sent
    # In this process it still knows.
    assert pickle.loads(sent).options["AWS_SECRET_ACCESS_KEY"] == "s3cr3t"


def test_a_bucket_that_is_not_there_is_named(bucket):
    with pytest.raises(
        BucketError, match=r"there is no bucket for s3://shop-of-nobody/a\. Make it"
    ):
        (at("s3://shop-of-nobody") / "a").write_text("red")


def test_a_store_is_opened_with_the_options_that_delta_takes(bucket, monkeypatch):
    import os

    told = {name: os.environ[name] for name in ("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP")}
    for name in told:
        monkeypatch.delenv(name)
    place = at(bucket, told) / "a.txt"
    place.write_text("red")
    assert place.read_text() == "red"
