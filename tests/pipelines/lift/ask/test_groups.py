from pathlib import Path

import pandas as pd
import pytest

from deepfeast.pipelines.lift.ask.groups import file_groups, label_groups
from deepfeast.transforms.errors import ColumnNotFound, LiftError, SourceNotFound

LABELS = pd.DataFrame({"id": ["a", "b", "c", "d"], "seller": [1, 1, 2, 3], "price": [1.0, 2, 3, 4]})


@pytest.fixture
def write(tmp_path):
    """Write a file of groups."""

    def written(name="groups.parquet", **columns):
        path = tmp_path / name
        frame = pd.DataFrame(columns)
        frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
        return str(path)

    return written


@pytest.mark.parametrize("name", ["groups.parquet", "groups.csv"])
def test_a_file_of_near_copies_groups_labels_by_their_keys(write, name):
    path = write(
        name,
        id=["d", "c", "a"],
        duplicate_group=[7, 5, 7],
        group_size=[2, 1, 2],
        nearest_cosine=[0.99, None, 0.99],
    )
    assert label_groups(LABELS, [path]).tolist() == [0, 1, 2, 0]


def test_copies_and_sellers_hang_together(write):
    path = write(id=["a", "b", "c", "d"], duplicate_group=[0, 1, 2, 0])
    assert label_groups(LABELS, ["seller", path]).tolist() == [0, 0, 1, 0]


def test_keys_may_be_numbers_on_one_side(write):
    path = write(id=["1", "2"], copies=[4, 4])
    assert label_groups(pd.DataFrame({"id": [1, 2, 3]}), [path]).tolist() == [0, 0, 1]


def test_what_is_no_file_of_groups_is_told(write, tmp_path):
    with pytest.raises(SourceNotFound, match="no groups at"):
        label_groups(LABELS, [str(tmp_path / "none.parquet")])
    with pytest.raises(ColumnNotFound, match="sellr"):
        label_groups(LABELS, ["seller", "sellr"])
    for columns in ({"key": ["a"], "group": [1]}, {"id": ["a"]}, {"id": ["a"], "x": [1], "y": [1]}):
        with pytest.raises(LiftError, match="expected the entity keys, and one column of groups"):
            label_groups(LABELS, [write(**columns)])
    with pytest.raises(LiftError, match=r"knows none of the 4 keys: are id .* \['A'\]"):
        label_groups(LABELS, [write(id=["A"], group=[1])])


def test_the_keys_can_be_named_and_a_column_of_both_is_then_no_key(write):
    path = write(id=["a"], seller=[9], duplicate_group=[1])
    with pytest.raises(LiftError, match="knows none of the 4 keys"):
        label_groups(LABELS, [path])
    assert file_groups(Path(path), LABELS, ["id"]).tolist()[0] == 1
