"""What Feast asks of an offline store: each row sees its own past."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import (
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    RequestSource,
    ValueType,
)
from feast.data_format import DeltaFormat
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Float32, Float64, Int64, String

from deepfeast.transforms.errors import (
    ColumnNotFound,
    JoinError,
    NeverEmbedded,
    SourceNotFound,
)

DAY = timedelta(days=1)
NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)


def test_every_row_comes_back_once_in_order_with_its_own_columns(shop, stock):
    rows = stock.ask("ink", "cup", "pen", "ink", colour=["red", "white", "blue", "red"])
    found = stock.history(shop, rows, ["stock:units", "stock:price"])
    assert found.columns.tolist() == [
        *("product_id", "event_timestamp", "colour"),
        *("units", "price"),
    ]
    assert found["product_id"].tolist() == ["ink", "cup", "pen", "ink"]
    assert found["colour"].tolist() == ["red", "white", "blue", "red"]
    np.testing.assert_array_equal(found["units"], [20, np.nan, 10, 20])
    np.testing.assert_array_equal(found["price"], [np.nan, np.nan, 1.0, np.nan])


def test_each_row_sees_its_own_past(shop, stock):
    times = [NOON + 2 * DAY, NOON - 2 * DAY, NOON - 4 * DAY, NOON - DAY]
    np.testing.assert_array_equal(
        stock.history(shop, stock.ask(*["pen"] * 4, at=times))["units"], [40, 30, np.nan, 10]
    )


def test_the_entity_rows_given_are_left_alone(shop, stock):
    rows = stock.ask("pen", "ink", at=NOON.replace(tzinfo=None))
    before = rows.copy(deep=True)
    stock.history(shop, rows)
    pd.testing.assert_frame_equal(rows, before)


def test_time_zones_and_text_mean_the_same_moment(shop, stock):
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9)))
    for time in (elsewhere, NOON.replace(tzinfo=None), NOON.isoformat(), "2024-05-10 12:00:00"):
        assert stock.history(shop, stock.ask("pen", at=time))["units"].tolist() == [10]


def test_the_time_column_may_have_another_name_if_it_is_the_only_one(shop, stock):
    rows = stock.ask("pen").rename(columns={"event_timestamp": "sold_at"})
    assert stock.history(shop, rows)["units"].tolist() == [10]


def test_a_row_of_no_time_knows_nothing(shop, stock):
    found = stock.history(shop, stock.ask("pen", "pen", at=[pd.NaT, NOON]))
    np.testing.assert_array_equal(found["units"], [np.nan, 10])


def test_no_rows_give_no_rows(shop, stock):
    found = stock.history(shop, stock.ask("pen").iloc[:0])
    assert len(found) == 0
    assert "units" in found


def test_the_ttl_counts_back_from_the_row(make_store, write, stock):
    write(stock.rows)
    store = make_store(stock.product, stock.view(ttl=DAY))
    found = stock.history(store, stock.ask("pen", "pen", "ink", at=[NOON, NOON + DAY / 2, NOON]))
    np.testing.assert_array_equal(found["units"], [10, np.nan, np.nan])


def test_what_was_entered_later_can_be_left_out(shop, stock):
    found = stock.history(shop, stock.ask("pen"), filter_by_created_timestamp=True)
    assert found["units"].tolist() == [30]


def test_a_join_runs_when_its_result_is_asked_for(shop, tmp_path, stock):
    job = shop.get_historical_features(stock.ask("pen"), features=["stock:units"])
    (tmp_path / "repo/data/stock.parquet").unlink()
    with pytest.raises(SourceNotFound, match=r"nothing at .*stock\.parquet"):
        job.to_df()


def test_one_view_joins_twice_by_two_keys(shop):
    view = shop.get_feature_view("stock")
    service = FeatureService(
        name="swap",
        features=[
            view.with_name("given").with_join_key_map({"product_id": "given_id"})[["units"]],
            view.with_name("taken").with_join_key_map({"product_id": "taken_id"})[["units"]],
        ],
    )
    shop.apply(service)
    rows = pd.DataFrame({"given_id": ["pen"], "taken_id": ["ink"], "event_timestamp": [NOON]})
    found = shop.get_historical_features(rows, service, full_feature_names=True).to_df()
    assert found[["given__units", "taken__units"]].to_numpy().tolist() == [[10, 20]]


def test_keys_may_be_composite_and_views_may_have_none(make_store, write, stock):
    region = Entity(name="region", join_keys=["region_id"], value_type=ValueType.INT64)
    sales = pd.DataFrame(
        {
            "product_id": ["pen", "pen", "ink"],
            "region_id": [1, 2, 1],
            "counted_at": NOON - DAY,
            "sold": [5, 6, 7],
        }
    )
    write(sales, "sales.parquet")
    write(pd.DataFrame({"counted_at": [NOON - DAY, NOON], "rate": [0.5, 0.7]}), "rates.parquet")
    by_both = FeatureView(
        name="sales",
        entities=[stock.product, region],
        schema=[Field(name="sold", dtype=Int64)],
        source=FileSource(path="data/sales.parquet", timestamp_field="counted_at"),
    )
    by_none = FeatureView(
        name="rates",
        entities=[],
        schema=[Field(name="rate", dtype=Float64)],
        source=FileSource(path="data/rates.parquet", timestamp_field="counted_at"),
    )
    store = make_store(stock.product, region, by_both, by_none)
    rows = stock.ask("pen", "pen", "ink", at=[NOON, NOON - DAY / 2, NOON], region_id=[2, 1, 2])
    found = stock.history(store, rows, ["sales:sold", "rates:rate"])
    np.testing.assert_array_equal(found["sold"], [6, 5, np.nan])
    np.testing.assert_array_equal(found["rate"], [0.7, 0.5, 0.7])
    store.materialize(NOON - 9 * DAY, NOON)
    online = store.get_online_features(
        ["sales:sold", "rates:rate"], [{"product_id": "pen", "region_id": 2}]
    ).to_dict()
    assert (online["sold"], online["rate"]) == ([6], [0.7])


def test_on_demand_views_are_computed_on_top(shop, stock):
    basket = RequestSource(name="basket", schema=[Field(name="wanted", dtype=Int64)])

    @on_demand_feature_view(
        sources=[shop.get_feature_view("stock"), basket],
        schema=[Field(name="left", dtype=Float64)],
    )
    def after_sale(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"left": inputs["units"] - inputs["wanted"].astype(float)})

    shop.apply([after_sale])
    found = stock.history(shop, stock.ask("pen", "cup", wanted=[3, 3]), ["after_sale:left"])
    np.testing.assert_array_equal(found["left"], [7, np.nan])


def test_arrays_stay_arrays_and_a_result_has_one_chunk(make_store, write, stock):
    table = pa.table(
        {
            "product_id": ["pen", "ink"],
            "at": pa.array([NOON - DAY] * 2),
            "vec": pa.array([[1, 2], None], pa.list_(pa.float32())),
            "tags": [["a", "b"], []],
        }
    )
    write(table, "vectors.parquet")
    view = FeatureView(
        name="vectors",
        entities=[stock.product],
        schema=[Field(name="vec", dtype=Array(Float32)), Field(name="tags", dtype=Array(String))],
        source=FileSource(path="data/vectors.parquet", timestamp_field="at"),
    )
    store = make_store(stock.product, view)
    job = store.get_historical_features(
        stock.ask("ink", "pen", "pen", "cup"), features=["vectors:vec", "vectors:tags"]
    )
    found = job.to_arrow()
    assert found.column("vec").to_pylist() == [None, [1, 2], [1, 2], None]
    assert found.column("tags").to_pylist() == [[], ["a", "b"], ["a", "b"], None]
    assert {column.num_chunks for column in found.columns} == {1}


def test_what_cannot_be_joined_is_refused_with_the_reason(shop, stock):
    with pytest.raises(JoinError, match="names no warehouse"):
        stock.history(shop, "SELECT * FROM sales")
    with pytest.raises(ColumnNotFound, match=r"'product_id' in the labels .*view 'stock'.*sku"):
        stock.history(shop, stock.ask("pen").rename(columns={"product_id": "sku"}))
    with pytest.raises(JoinError, match="could be seconds or milliseconds"):
        stock.history(shop, stock.ask("pen", at=1715342400))
    with pytest.raises(JoinError, match="cannot be read as times"):
        stock.history(shop, stock.ask("pen", at="yesterday-ish"))
    with pytest.raises(JoinError, match=r"view 'stock': .*int64.*string.*Convert"):
        stock.history(shop, stock.ask(1, 2))
    with pytest.raises(JoinError, match=r"'units'|units, which"):
        stock.history(shop, stock.ask("pen", units=[1]))


def test_a_deep_view_that_was_never_embedded_says_what_to_run(make_store, stock):
    from deepfeast.transforms.features import DeepFeature, DeepViewSpec

    spec = DeepViewSpec("deep", "raw", (DeepFeature("vec", "text", "minilm"),))
    view = FeatureView(
        name="deep",
        entities=[stock.product],
        schema=[Field(name="vec", dtype=Array(Float32), vector_length=2)],
        source=FileSource(
            path="data/embeddings/deep", file_format=DeltaFormat(), timestamp_field="at"
        ),
        tags={"deepfeast": spec.to_tag()},
    )
    store = make_store(stock.product, view)
    with pytest.raises(NeverEmbedded, match="Run: deepfeast embed deep"):
        stock.history(store, stock.ask("pen"), ["deep:vec"])
