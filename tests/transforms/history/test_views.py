"""Histories beside label rows: found once, gathered as columns or into a matrix."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.errors import ColumnNotFound, JoinError
from deepfeast.transforms.files.table import open_table
from deepfeast.transforms.history.views import PointInTimeJoin, StoredRows, ViewHistory


def days(*numbers):
    return pa.array([None if n is None else n * 86400 for n in numbers], pa.timestamp("s", "UTC"))


@pytest.fixture
def shops(tmp_path):
    """Shop a on days 1 and 3, shop b on day 2; what day 3 says was entered on day 8."""
    table = pa.table(
        {
            "id": ["a", "b", "a"],
            "at": days(1, 2, 3),
            "made": days(1, 2, 8),
            "size": [10, 20, 11],
            "vec": pa.array([[1, 1], [2, 2], [3, 3]], pa.list_(pa.float32())),
        }
    )
    pq.write_table(table, tmp_path / "shops.parquet")
    return open_table(str(tmp_path / "shops.parquet"))


def history(table, features=("size", "vec"), **more):
    given = {"join_keys": {"shop": "id"}, "created": "made", **more}
    return ViewHistory("shops", table, timestamp="at", features={f: f for f in features}, **given)


LABELS = pa.table({"shop": ["a", "b", "a", "a"], "when": days(5, 5, 2, None), "y": [1, 2, 3, 4]})


def test_label_rows_keep_their_order_and_get_what_was_true_then(shops):
    joined = PointInTimeJoin(LABELS, "when", [history(shops, ["size"])]).to_table()
    assert joined.column_names == ["shop", "when", "y", "size"]
    assert joined["y"].to_pylist() == [1, 2, 3, 4]
    assert joined["size"].to_pylist() == [11, 20, 10, None]
    part = PointInTimeJoin(LABELS, "when", [history(shops, ["size"])]).to_table(slice(1, 3))
    assert part.select(["y", "size"]).to_pydict() == {"y": [2, 3], "size": [20, 10]}


def test_what_was_entered_later_and_what_is_too_old_are_left_out(shops):
    known = PointInTimeJoin(LABELS, "when", [history(shops, ["size"])], known=True)
    assert known.features()["size"].to_pylist() == [10, 20, 10, None]
    fresh = history(shops, ["size"], ttl=timedelta(days=2))
    assert PointInTimeJoin(LABELS, "when", [fresh]).features()["size"].to_pylist() == [
        11,
        None,
        10,
        None,
    ]


def test_vectors_go_into_a_matrix_and_the_rest_comes_back(shops):
    matrix = np.zeros((4, 2), np.float32)
    rest = PointInTimeJoin(LABELS, "when", [history(shops)]).features({"vec": matrix})
    assert rest.to_pydict() == {"size": [11, 20, 10, None]}
    np.testing.assert_array_equal(matrix, [[3, 3], [2, 2], [1, 1], [np.nan, np.nan]])


def test_one_table_may_be_joined_twice_and_a_view_without_entities_joins_all(shops):
    newest = ViewHistory("all", shops, {}, "at", None, {"newest": "size"})
    both = PointInTimeJoin(LABELS, "when", [history(shops, ["size"]), newest])
    assert both.features().to_pydict() == {
        "size": [11, 20, 10, None],
        "newest": [11, 11, 20, None],
    }


def test_what_is_missing_or_taken_is_named(shops):
    with pytest.raises(ColumnNotFound, match=r"no column 'sizes'.*Did you mean 'size'"):
        history(shops, ["sizes"])
    wrong = PointInTimeJoin(LABELS.rename_columns(["id", "when", "y"]), "when", [history(shops)])
    with pytest.raises(ColumnNotFound, match=r"no column 'shop' in the labels \(join key of view"):
        wrong.features()
    numbers = LABELS.set_column(0, "shop", pa.array([1, 2, 1, 1]))
    with pytest.raises(JoinError, match=r"view 'shops': .*labels' key is int64"):
        PointInTimeJoin(numbers, "when", [history(shops)]).features()
    with pytest.raises(JoinError, match="already have columns called size, which are also feat"):
        PointInTimeJoin(LABELS.append_column("size", [[0] * 4]), "when", [history(shops)])


def test_stored_rows_come_as_they_are_stored(shops):
    rows = StoredRows(shops, np.array([0, 2]), ["id", "size"])
    assert len(rows) == 2
    assert rows.to_table().to_pydict() == {"id": ["a", "a"], "size": [10, 11]}
    assert rows.to_table(slice(1, 2)).to_pydict() == {"id": ["a"], "size": [11]}
