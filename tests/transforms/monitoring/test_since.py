"""A baseline of January, and what came after it."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.files.table import open_table
from deepfeast.transforms.history.latest import Span
from deepfeast.transforms.monitoring.since import drift_since, times_of

JANUARY = datetime(2024, 1, 1, tzinfo=timezone.utc)
OLD, NEW = 150, 60


@pytest.fixture
def make(tmp_path):
    """Write a table of vectors: hours of January, then of February, moved by so much."""

    def made(moved=0.0, vectors=None):
        random = np.random.default_rng(0)
        rows = random.normal(size=(OLD + NEW, 4)).astype(np.float32)
        rows[OLD:] += moved
        given = vectors or [*rows[:-1].tolist(), None]
        hours = [*range(OLD), *(24 * 31 + n for n in range(NEW))]
        columns = {
            "id": [f"i{n}" for n in range(OLD + NEW)],
            "vec": pa.array(given, pa.list_(pa.float32())),
            "at": pa.array(
                [JANUARY + timedelta(hours=n) for n in hours], pa.timestamp("us", "UTC")
            ),
        }
        pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
        return open_table(str(tmp_path / "rows.parquet"))

    return made


def drift(table, span=None, rows=OLD):
    base = times_of(table, np.arange(rows), "at")
    return drift_since(table, "vec", ["id"], "at", base, span or Span(JANUARY, None))


def test_rows_after_the_baseline_are_compared_with_it(make):
    found = drift(make())
    assert (found["rows"], found["p"] > 0.05) == (NEW, True)
    moved = drift(make(moved=1))
    assert moved["p"] < 0.01
    assert moved["place"] > found["place"]
    assert moved["novel"] > 0.05


def test_rows_are_grouped_as_is_asked(make):
    asked = []

    def by_ten(rows):
        asked.append(rows)
        return np.array([int(key[1:]) // 10 for key in rows["id"].to_pylist()])

    table = make()
    base = times_of(table, np.arange(OLD), "at")
    found = drift_since(table, "vec", ["id"], "at", base, Span(JANUARY, None), by_ten)
    assert found["groups"] == (OLD + NEW) // 10
    # The last row has no vector.
    (rows,) = asked
    assert (rows.column_names, len(rows)) == (["id", "at"], OLD + NEW - 1)
    assert drift(table)["groups"] == OLD + NEW - 1


def test_a_range_begins_where_it_is_said(make):
    table = make(moved=1)
    late = Span(JANUARY + timedelta(days=32), None)
    # Of 60 hours the last 36, one of them without a vector.
    assert drift(table, late)["rows"] == 36
    assert drift(table, Span(JANUARY, JANUARY + timedelta(days=30))) is None


@pytest.mark.parametrize("vector", [None, [1.0, 2.0]])
def test_vectors_that_are_missing_or_equal_are_not_compared(make, vector):
    assert drift(make(vectors=[vector] * (OLD + NEW))) is None


def test_a_baseline_without_rows_or_of_an_older_kind_is_none(make):
    table = make()
    assert times_of(table, np.arange(0), "at") == {}
    assert drift_since(table, "vec", ["id"], "at", {"centroid": [1.0]}, Span()) is None
