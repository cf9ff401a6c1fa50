import pytest

from deepfeast.transforms.embeddings.lock import locked
from deepfeast.transforms.errors import RunInProgress


def test_one_holds_a_table_and_the_other_is_told_who(tmp_path):
    path = tmp_path / "deep" / "lock"
    told = pytest.raises(RunInProgress, match="held by run run-1, process")
    one, other = (locked(path, [tmp_path], "deep", f"run-{number}") for number in (1, 2))
    with one, told, other:
        pass
    with locked(path, [tmp_path], "deep", "run-2"):
        assert "run-2" in path.read_text()
