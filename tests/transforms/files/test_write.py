import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from deepfeast.transforms.errors import NotWritable
from deepfeast.transforms.files.write import check_writable, whole

NOBODY = 65534


def test_a_file_appears_when_all_of_it_is_written(tmp_path):
    path = tmp_path / "note.txt"
    with whole(path) as aside:
        aside.write_text("red")
        assert not path.exists()
    assert path.read_text() == "red"
    assert list(tmp_path.iterdir()) == [path]


def test_two_who_write_one_file_do_not_meet(tmp_path):
    path = tmp_path / "note.txt"
    with whole(path) as one, whole(path) as other:
        one.write_text("red")
        other.write_text("blue")
    assert path.read_text() == "red"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("old")

    def fail():
        with whole(path) as aside:
            aside.write_text("half")
            raise OSError("disk is full")

    with pytest.raises(OSError, match="disk"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def nobody():
    """Go on as a user who owns nothing, where the tests run as root; else as oneself."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        yield
        os.seteuid(0)
    else:
        yield


@pytest.fixture
def theirs():
    """A folder, and a lock in it, that root or we ourselves have closed to writing."""
    with tempfile.TemporaryDirectory() as made:  # pytest's own lie where root alone may look
        folder = Path(made)
        (folder / "lock").touch()
        (folder / "lock").chmod(0o444)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


def test_a_folder_or_lock_of_somebody_else_is_named_with_its_owner(theirs, nobody):
    owner = theirs.owner()
    for path, about in (("lock", theirs / "lock"), ("deep/new", theirs)):
        told = rf"view 'deep' needs to write {about}, .* belongs to {owner}, mode (444|555)\)"
        with pytest.raises(NotWritable, match=told):
            check_writable(theirs / path, "view 'deep'")


def test_what_can_be_made_is_no_matter(tmp_path):
    check_writable(tmp_path / "a" / "b" / "lock", "view 'deep'")


def test_a_disk_that_is_read_only_is_told(tmp_path):
    words = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root alone")
    try:
        with pytest.raises(NotWritable, match="is mounted read-only"):
            check_writable(tmp_path / "deep", "view 'deep'")
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
