"""Feast's store for Spark, and what of it is ours."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.warehouse.open import open_warehouse
from deepfeast.transforms.warehouse.spark_store import SparkJob, SparkStore

START = datetime(2024, 11, 3, 5, 30, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@pytest.fixture
def warehouse(spark, make_store):
    return open_warehouse(
        make_store(offline_store={"type": STORE, "warehouse": spark.block}).config
    )


@pytest.fixture
def ticks(spark):
    """Two rows of each of two keys, an hour apart, and a later correction of the last one."""
    at = f"TIMESTAMP '{START:%Y-%m-%d %H:%M:%S}Z'"
    hours = [("a", 0, 0, 1), ("a", 1, 1, 2), ("a", 1, 9, 3), ("b", 0, 0, 4), ("b", 1, 1, 5)]
    rows = (
        f"('{k}', {at} + INTERVAL '{h}' HOUR, {at} + INTERVAL '{c}' HOUR, {n})"
        for k, h, c, n in hours
    )
    return spark.source(spark.table(", ".join(rows), "id, at, made, n"), "at")


def pull(warehouse, which, ticks, keys=("id",), features=("n",), end=START + HOUR):
    call = getattr(warehouse.store, f"pull_{which}_from_table_or_query")
    return call(warehouse.config, ticks, [*keys], [*features], "at", "made", START, end)


def test_the_latest_rows_of_a_span_are_those_created_last(warehouse, ticks):
    def latest(end):
        rows = pull(warehouse, "latest", ticks, end=end).to_df()
        return dict(zip(rows["id"], rows["n"], strict=True))

    assert latest(START + HOUR) == {"a": 3, "b": 5}
    assert latest(START + HOUR - timedelta(microseconds=1)) == {"a": 1, "b": 4}


def test_a_view_without_entities_has_the_key_that_feast_gives_it(warehouse, ticks):
    (row,) = pull(warehouse, "latest", ticks, keys=()).to_arrow().to_pylist()
    assert row[DUMMY_ENTITY_ID] == DUMMY_ENTITY_VAL
    assert (row["n"], row["at"], row["made"]) == (3, START + HOUR, START + 9 * HOUR)


def test_all_rows_of_a_span_come_and_all_columns_where_none_are_named(warehouse, ticks):
    assert sorted(pull(warehouse, "all", ticks).to_arrow()["n"].to_pylist()) == [1, 2, 3, 4, 5]
    found = pull(warehouse, "all", ticks, keys=(), features=(), end=START).to_arrow()
    assert found.column_names == ["id", "at", "made", "n"]
    assert sorted(found["n"].to_pylist()) == [1, 4]


def test_tables_of_iceberg_are_left_to_feasts_own_store():
    class Feasts:
        def __getattr__(self, name):
            return lambda *args: (name, len(args))

    feasts: Any = Feasts()
    store = SparkStore(feasts)
    for which in ("latest", "all"):
        name = f"pull_{which}_from_table_or_query"
        assert getattr(store, name)(None, object(), [], [], "at", None, START, START) == (name, 8)
    assert store.validate_data_source(1, 2) == ("validate_data_source", 2)


def test_a_job_gives_its_rows_in_parts():
    batches = [pa.record_batch({"n": [1, 2]}), pa.record_batch({"n": [3]})]
    job = SparkJob(lambda: iter(batches))
    assert [len(batch) for batch in job.batches()] == [2, 1]
    assert job.to_arrow()["n"].to_pylist() == job.to_df()["n"].tolist() == [1, 2, 3]
    assert (job.metadata, job.on_demand_feature_views, job.full_feature_names) == (None, [], False)
