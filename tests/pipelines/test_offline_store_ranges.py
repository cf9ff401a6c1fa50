"""Rows of a range of time, without entity rows: retrieved, pulled and materialized."""

from datetime import datetime, timedelta, timezone

import pandas as pd
import pyarrow as pa
from feast import (
    Entity,
    FeatureView,
    Field,
    FileSource,
    ValueType,
)
from feast.types import Float64, Int64

DAY = timedelta(days=1)
NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)


def test_without_rows_every_entity_and_event_time_of_a_range_is_taken(shop):
    between = {"start_date": NOON - 3 * DAY, "end_date": NOON}
    found = shop.get_historical_features(features=["stock:units"], **between).to_df()
    assert found.to_dict("list") == {
        "product_id": ["ink", "pen", "pen"],
        "event_timestamp": [NOON - 2 * DAY, NOON - 3 * DAY, NOON - DAY],
        "units": [20, 30, 10],
    }


def test_without_rows_views_share_theirs_and_those_of_no_entity_add_none(make_store, write, stock):
    write(stock.rows)
    late = stock.rows.assign(counted_at=NOON)[:1]
    write(pd.concat([late, stock.rows[:1]]), "late.parquet")
    write(pd.DataFrame({"counted_at": [NOON - 4 * DAY, NOON], "rate": [0.5, 0.7]}), "rates.parquet")
    rates = FeatureView(
        name="rates",
        entities=[],
        schema=[Field(name="rate", dtype=Float64)],
        source=FileSource(path="data/rates.parquet", timestamp_field="counted_at"),
    )
    store = make_store(
        stock.product, stock.view(), stock.view("data/late.parquet", name="late"), rates
    )
    between = {"start_date": NOON - 3 * DAY, "end_date": NOON}
    features = ["stock:units", "late:price", "rates:rate"]
    found = store.get_historical_features(features=features, **between).to_df()
    assert found["product_id"].tolist() == ["ink", "pen", "pen", "pen"]
    assert found["event_timestamp"].tolist()[1:] == [NOON - 3 * DAY, NOON - DAY, NOON]
    assert found["rate"].tolist() == [0.5, 0.5, 0.5, 0.7]
    alone = store.get_historical_features(features=["rates:rate"], **between).to_df()
    assert alone.to_dict("list") == {"event_timestamp": [NOON], "rate": [0.7]}
    nothing = store.get_historical_features(
        features=["stock:units"], start_date=NOON - 9 * DAY, end_date=NOON - 8 * DAY
    )
    assert len(nothing.to_df()) == 0


def test_without_rows_whole_keys_stay_whole_beside_missing_ones(make_store, write):
    region = Entity(name="region", join_keys=["region_id"], value_type=ValueType.INT64)
    ids = pa.array([2**60 + 1, None], pa.int64())
    times = pa.array([NOON, NOON], pa.timestamp("us", "UTC"))
    write(pa.table({"region_id": ids, "counted_at": times, "sold": [5, 6]}), "regions.parquet")
    view = FeatureView(
        name="regions",
        entities=[region],
        schema=[Field(name="sold", dtype=Int64)],
        source=FileSource(path="data/regions.parquet", timestamp_field="counted_at"),
    )
    store = make_store(region, view)
    between = {"start_date": NOON - DAY, "end_date": NOON}
    found = store.get_historical_features(features=["regions:sold"], **between).to_df()
    assert found.drop(columns="event_timestamp").values.tolist() == [[2**60 + 1, 5]]


def test_only_the_latest_rows_are_materialized(shop):
    store = shop
    store.materialize(NOON - 9 * DAY, NOON)
    online = store.get_online_features(
        ["stock:units"], [{"product_id": name} for name in ("pen", "ink", "cup")]
    )
    assert online.to_dict()["units"] == [10, 20, None]


def test_pulls_name_columns_as_the_source_does(shop):
    source = shop.get_feature_view("stock").batch_source
    arguments = {
        "config": shop.config,
        "data_source": source,
        "join_key_columns": ["product_id"],
        "feature_name_columns": ["units"],
        "timestamp_field": "counted_at",
        "created_timestamp_column": "entered_at",
        "start_date": NOON - 3 * DAY,
        "end_date": NOON - DAY,
    }
    offline = shop.provider.offline_store
    latest = offline.pull_latest_from_table_or_query(**arguments).to_arrow()
    assert latest.column_names == ["product_id", "units", "counted_at", "entered_at"]
    assert latest.select(["product_id", "units"]).to_pydict() == {
        "product_id": ["pen", "ink"],
        "units": [10, 20],
    }
    assert {column.num_chunks for column in latest.columns} == {1}
    everything = offline.pull_all_from_table_or_query(**arguments)
    assert everything.to_arrow().column("units").to_pylist() == [30, 10, 20]
    assert [len(part) for part in everything.batches(rows=2)] == [2, 1]
