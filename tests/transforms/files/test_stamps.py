import os
import time

import fsspec
import pyarrow.fs as fs

from deepfeast.transforms.files.bucket import at
from deepfeast.transforms.files.stamps import stamps

LONG_AGO = 1_700_000_000


def write(path, text, at=LONG_AGO):
    path.write_text(text)
    os.utime(path, (at, at))
    return str(path)


def test_a_file_that_is_left_alone_keeps_its_stamp(tmp_path):
    path = write(tmp_path / "a", "red")
    assert stamps(None, [path]) == stamps(fs.LocalFileSystem(), [path])
    assert set(stamps(None, [path])) == {path}


def test_another_content_of_equal_size_and_time_is_another_stamp(tmp_path):
    path = write(tmp_path / "a", "red")
    before = stamps(None, [path])
    # Longer than the tick of the kernel's clock.
    time.sleep(0.02)
    write(tmp_path / "b", "tan")
    (tmp_path / "b").replace(path)
    assert (tmp_path / "a").stat().st_mtime == LONG_AGO
    assert stamps(None, [path]) != before


def test_a_file_that_was_written_just_now_has_no_stamp_yet(tmp_path):
    fresh = write(tmp_path / "a", "red", time.time())
    assert stamps(None, [fresh, str(tmp_path / "none")]) == {}


def test_paths_below_a_folder_are_found_there(tmp_path):
    path = write(tmp_path / "a", "red")
    below = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    assert stamps(below, ["a"]) == {"a": stamps(None, [path])[path]}


def test_a_filesystem_that_tells_neither_time_nor_tag_has_no_stamps():
    memory = fsspec.filesystem("memory")
    memory.pipe("/stamps/a", b"red")
    assert stamps(fs.PyFileSystem(fs.FSSpecHandler(memory)), ["/stamps/a"]) == {}


def test_an_object_is_known_by_its_tag(bucket):
    store = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"])
    path = f"{bucket.removeprefix('s3://')}/a"
    (at(bucket) / "a").write_text("red")
    before = stamps(store, [path])
    assert stamps(store, [path]) == before
    assert set(before) == {path}
    (at(bucket) / "a").write_text("tan")
    assert stamps(store, [path]) != before
