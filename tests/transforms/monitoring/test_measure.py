"""Figures of columns that can be reckoned by hand."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.arrow import VECTOR_TYPE, pack_vectors, vector_field
from deepfeast.transforms.files.table import open_table
from deepfeast.transforms.monitoring import measure as measured
from deepfeast.transforms.monitoring.measure import measure


@pytest.fixture
def figures(tmp_path):
    """Return the figures of one column of all rows but the first."""

    def made(column, kind="numeric", field=None):
        field = field or pa.field("x", column.type)
        rows = pa.Table.from_arrays([column], schema=pa.schema([field.with_name("x")]))
        pq.write_table(rows, tmp_path / "x.parquet")
        table = open_table(str(tmp_path / "x.parquet"))
        (found,) = measure(table, np.arange(1, len(rows)), [("f", "x", kind)], bins=2, top=1)
        return found

    return made


def test_nan_counts_as_null_and_the_rest_is_feasts(figures):
    found = figures(pa.array([99.0, 1.0, float("nan"), 3.0, None]))
    told = ("feature_name", "row_count", "null_count", "mean", "max_val")
    assert [found[name] for name in told] == ["f", 4, 2, 2, 3]
    assert found["histogram"]["counts"] == [1, 1]
    words = figures(pa.array(["x", "red", "red", "blue", None]), "categorical")
    assert words["histogram"] == {
        "values": [{"value": "red", "count": 2}],
        "other_count": 1,
        "unique_count": 2,
    }


@pytest.mark.parametrize("storage", ["float32", "int8"])
def test_vectors_are_measured_by_norm_and_centre(figures, monkeypatch, storage):
    monkeypatch.setattr(measured, "ROWS", 2)
    vectors = np.array([[99, 99], [0, 127], [0, -127], [0, 0], [127, 0], [-127, 0]], np.float32)
    there = np.array([True, True, True, False, True, True])
    column = pack_vectors(vectors, there)
    if storage == "float32":
        column = pa.array([list(v) if t else None for v, t in zip(vectors, there, strict=True)])
        column = column.cast(VECTOR_TYPE)
    found = figures(column, field=vector_field("x", storage))
    assert [found[name] for name in ("row_count", "null_count", "mean", "stddev")] == [5, 1, 127, 0]
    assert found["histogram"]["of"] == "norm"
    assert found["histogram"]["centroid"] == [0, 0]
    assert found["histogram"]["spread"] == 127


def test_of_lists_that_are_no_vectors_there_are_nulls_alone(figures):
    for column in (
        pa.array([[1], [1, 2], None, [3]]),
        pa.array([["a"], ["b"], None, []]),
        pa.array([None, None, None, None], VECTOR_TYPE),
    ):
        found = figures(column)
        nulls = column.slice(1).null_count
        assert (found["row_count"], found["null_count"]) == (3, nulls)
        assert found["null_rate"] == nulls / 3
        assert (found["mean"], found["histogram"]) == (None, None)


def test_no_rows_are_no_fault(figures):
    found = figures(pa.array([[1.0, 2.0]], VECTOR_TYPE))
    assert (found["row_count"], found["null_rate"], found["histogram"]) == (0, 0.0, None)
