import pytest

from deepfeast.transforms.files.write import whole


def test_a_file_appears_when_all_of_it_is_written(tmp_path):
    path = tmp_path / "note.txt"
    with whole(path) as aside:
        aside.write_text("red")
        assert not path.exists()
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
