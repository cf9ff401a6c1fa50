"""What Feast asks of an offline store, on files.

Most tests share one small shop: a stock of two products, counted now and then.
"""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
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
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_logging import LoggingConfig
from feast.infra.offline_stores.file_source import FileLoggingDestination, SavedDatasetFileStorage
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Float32, Float64, Int64, String

from deepfeast.pipelines.retrieval_job import _bytes
from deepfeast.transforms.errors import (
    ColumnNotFound,
    JoinError,
    NeverEmbedded,
    SourceNotFound,
    SpecError,
)

DAY = timedelta(days=1)
NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)

product = Entity(name="product", join_keys=["product_id"], value_type=ValueType.STRING)

STOCK = pd.DataFrame(
    {
        "product_id": ["pen", "pen", "ink", "pen"],
        "counted_at": [NOON - 3 * DAY, NOON - DAY, NOON - 2 * DAY, NOON + DAY],
        "entered_at": [NOON - 3 * DAY, NOON + 5 * DAY, NOON - 2 * DAY, NOON + DAY],
        "units": [30, 10, 20, 40],
        "price": [1.5, 1.0, None, 2.0],
    }
)


def stock_view(path="data/stock.parquet", *, name="stock", ttl=timedelta(0), **source):
    return FeatureView(
        name=name,
        entities=[product],
        ttl=ttl,
        schema=[Field(name="units", dtype=Int64), Field(name="price", dtype=Float64)],
        source=FileSource(
            name=f"{name}_source",
            path=path,
            timestamp_field="counted_at",
            created_timestamp_column="entered_at",
            **source,
        ),
    )


@pytest.fixture
def write(tmp_path):
    """Write a table into the repo's data folder, as Parquet or Delta by its name."""

    def write(table, name="stock.parquet"):
        path = tmp_path / "repo" / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pandas(table) if isinstance(table, pd.DataFrame) else table
        if path.suffix == ".parquet":
            pq.write_table(table, path)
        else:
            write_deltalake(str(path), table)
        return path

    return write


@pytest.fixture
def shop(make_store, write):
    write(STOCK)
    return make_store(product, stock_view())


def ask(*products, at=NOON, **columns):
    return pd.DataFrame({"product_id": products, "event_timestamp": at, **columns})


def history(store, entity_df, features=("stock:units",), **options):
    job = store.get_historical_features(entity_df, features=list(features), **options)
    return job.to_df()


def test_every_row_comes_back_once_in_order_with_its_own_columns(shop):
    rows = ask("ink", "cup", "pen", "ink", colour=["red", "white", "blue", "red"])
    found = history(shop, rows, ["stock:units", "stock:price"])
    assert found.columns.tolist() == [
        *("product_id", "event_timestamp", "colour"),
        *("units", "price"),
    ]
    assert found["product_id"].tolist() == ["ink", "cup", "pen", "ink"]
    assert found["colour"].tolist() == ["red", "white", "blue", "red"]
    np.testing.assert_array_equal(found["units"], [20, np.nan, 10, 20])
    np.testing.assert_array_equal(found["price"], [np.nan, np.nan, 1.0, np.nan])


def test_each_row_sees_its_own_past(shop):
    times = [NOON + 2 * DAY, NOON - 2 * DAY, NOON - 4 * DAY, NOON - DAY]
    np.testing.assert_array_equal(
        history(shop, ask(*["pen"] * 4, at=times))["units"], [40, 30, np.nan, 10]
    )


def test_the_entity_rows_given_are_left_alone(shop):
    rows = ask("pen", "ink", at=NOON.replace(tzinfo=None))
    before = rows.copy(deep=True)
    history(shop, rows)
    pd.testing.assert_frame_equal(rows, before)


def test_time_zones_and_text_mean_the_same_moment(shop):
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9)))
    for time in (elsewhere, NOON.replace(tzinfo=None), NOON.isoformat(), "2024-05-10 12:00:00"):
        assert history(shop, ask("pen", at=time))["units"].tolist() == [10]


def test_the_time_column_may_have_another_name_if_it_is_the_only_one(shop):
    rows = ask("pen").rename(columns={"event_timestamp": "sold_at"})
    assert history(shop, rows)["units"].tolist() == [10]


def test_a_row_of_no_time_knows_nothing(shop):
    found = history(shop, ask("pen", "pen", at=[pd.NaT, NOON]))
    np.testing.assert_array_equal(found["units"], [np.nan, 10])


def test_no_rows_give_no_rows(shop):
    found = history(shop, ask("pen").iloc[:0])
    assert len(found) == 0
    assert "units" in found


def test_the_ttl_counts_back_from_the_row(make_store, write):
    write(STOCK)
    store = make_store(product, stock_view(ttl=DAY))
    found = history(store, ask("pen", "pen", "ink", at=[NOON, NOON + DAY / 2, NOON]))
    np.testing.assert_array_equal(found["units"], [10, np.nan, np.nan])


def test_what_was_entered_later_can_be_left_out(shop):
    found = history(shop, ask("pen"), filter_by_created_timestamp=True)
    assert found["units"].tolist() == [30]


def test_a_join_runs_when_its_result_is_asked_for(shop, tmp_path):
    job = shop.get_historical_features(ask("pen"), features=["stock:units"])
    (tmp_path / "repo/data/stock.parquet").unlink()
    with pytest.raises(SourceNotFound, match=r"nothing at .*stock\.parquet"):
        job.to_df()


def test_paths_are_relative_to_the_repo_not_to_where_one_stands(shop, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert history(shop, ask("pen"))["units"].tolist() == [10]


def test_delta_and_folders_of_parquet_are_read_alike(make_store, write):
    write(STOCK, "stock_delta")
    write(STOCK.iloc[:2], "stock_folder/one.parquet")
    write(STOCK.iloc[2:], "stock_folder/two.parquet")
    delta = stock_view("data/stock_delta", name="delta", file_format=DeltaFormat())
    store = make_store(product, delta, stock_view("data/stock_folder", name="folder"))
    rows = ask("ink", "pen")
    found = history(store, rows, ["delta:units", "folder:units"], full_feature_names=True)
    assert found["delta__units"].tolist() == found["folder__units"].tolist() == [20, 10]


def test_a_folder_may_be_partitioned(make_store, write):
    write(STOCK.iloc[:2].drop(columns="product_id"), "parts/product_id=pen/one.parquet")
    write(STOCK.iloc[2:3].drop(columns="product_id"), "parts/product_id=ink/one.parquet")
    store = make_store(product, stock_view("data/parts"))
    assert history(store, ask("ink", "pen"))["units"].tolist() == [20, 10]


@pytest.mark.parametrize("name", ["empty.parquet", "empty_delta"])
def test_an_empty_table_knows_nothing(make_store, write, name):
    write(pa.Table.from_pandas(STOCK).slice(0, 0), name)
    form = {"file_format": DeltaFormat()} if "delta" in name else {}
    store = make_store(product, stock_view(f"data/{name}", **form))
    assert history(store, ask("pen", "ink"))["units"].isna().all()
    store.materialize(NOON - DAY, NOON)


def test_object_stores_are_read_and_written_through_fsspec(make_store):
    import fsspec

    memory = fsspec.filesystem("memory")
    with memory.open("/bucket/stock.parquet", "wb") as file:
        STOCK.to_parquet(file)
    store = make_store(product, stock_view("memory://bucket/stock.parquet"))
    job = store.get_historical_features(ask("pen"), features=["stock:units"])
    assert job.to_df()["units"].tolist() == [10]
    job.persist(SavedDatasetFileStorage("memory://bucket/saved.parquet"))
    with memory.open("/bucket/saved.parquet") as file:
        assert pd.read_parquet(file)["units"].tolist() == [10]
    memory.rm("/bucket", recursive=True)


def test_a_source_may_call_its_columns_otherwise(make_store, write):
    write(STOCK.rename(columns={"product_id": "sku", "units": "n", "counted_at": "t"}))
    mapping = {"sku": "product_id", "n": "units", "t": "counted_at"}
    store = make_store(product, stock_view(field_mapping=mapping))
    assert history(store, ask("pen", "ink"))["units"].tolist() == [10, 20]
    store.materialize(NOON - 9 * DAY, NOON)
    online = store.get_online_features(["stock:units"], [{"product_id": "pen"}])
    assert online.to_dict()["units"] == [10]


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


def test_keys_may_be_composite_and_views_may_have_none(make_store, write):
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
        entities=[product, region],
        schema=[Field(name="sold", dtype=Int64)],
        source=FileSource(path="data/sales.parquet", timestamp_field="counted_at"),
    )
    by_none = FeatureView(
        name="rates",
        entities=[],
        schema=[Field(name="rate", dtype=Float64)],
        source=FileSource(path="data/rates.parquet", timestamp_field="counted_at"),
    )
    store = make_store(product, region, by_both, by_none)
    rows = ask("pen", "pen", "ink", at=[NOON, NOON - DAY / 2, NOON], region_id=[2, 1, 2])
    found = history(store, rows, ["sales:sold", "rates:rate"])
    np.testing.assert_array_equal(found["sold"], [6, 5, np.nan])
    np.testing.assert_array_equal(found["rate"], [0.7, 0.5, 0.7])
    store.materialize(NOON - 9 * DAY, NOON)
    online = store.get_online_features(
        ["sales:sold", "rates:rate"], [{"product_id": "pen", "region_id": 2}]
    ).to_dict()
    assert (online["sold"], online["rate"]) == ([6], [0.7])


def test_on_demand_views_are_computed_on_top(shop):
    basket = RequestSource(name="basket", schema=[Field(name="wanted", dtype=Int64)])

    @on_demand_feature_view(
        sources=[shop.get_feature_view("stock"), basket],
        schema=[Field(name="left", dtype=Float64)],
    )
    def after_sale(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"left": inputs["units"] - inputs["wanted"].astype(float)})

    shop.apply([after_sale])
    found = history(shop, ask("pen", "cup", wanted=[3, 3]), ["after_sale:left"])
    np.testing.assert_array_equal(found["left"], [7, np.nan])


def test_arrays_stay_arrays_and_a_result_has_one_chunk(make_store, write):
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
        entities=[product],
        schema=[Field(name="vec", dtype=Array(Float32)), Field(name="tags", dtype=Array(String))],
        source=FileSource(path="data/vectors.parquet", timestamp_field="at"),
    )
    store = make_store(product, view)
    job = store.get_historical_features(
        ask("ink", "pen", "pen", "cup"), features=["vectors:vec", "vectors:tags"]
    )
    found = job.to_arrow()
    assert found.column("vec").to_pylist() == [None, [1, 2], [1, 2], None]
    assert found.column("tags").to_pylist() == [[], ["a", "b"], ["a", "b"], None]
    assert {column.num_chunks for column in found.columns} == {1}


def test_without_rows_every_entity_and_event_time_of_a_range_is_taken(shop):
    between = {"start_date": NOON - 3 * DAY, "end_date": NOON}
    found = shop.get_historical_features(features=["stock:units"], **between).to_df()
    assert found.to_dict("list") == {
        "product_id": ["ink", "pen", "pen"],
        "event_timestamp": [NOON - 2 * DAY, NOON - 3 * DAY, NOON - DAY],
        "units": [20, 30, 10],
    }


def test_without_rows_views_share_theirs_and_those_of_no_entity_add_none(make_store, write):
    write(STOCK)
    late = STOCK.assign(counted_at=NOON)[:1]
    write(pd.concat([late, STOCK[:1]]), "late.parquet")
    write(pd.DataFrame({"counted_at": [NOON - 4 * DAY, NOON], "rate": [0.5, 0.7]}), "rates.parquet")
    rates = FeatureView(
        name="rates",
        entities=[],
        schema=[Field(name="rate", dtype=Float64)],
        source=FileSource(path="data/rates.parquet", timestamp_field="counted_at"),
    )
    store = make_store(product, stock_view(), stock_view("data/late.parquet", name="late"), rates)
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


def test_what_cannot_be_joined_is_refused_with_the_reason(shop):
    with pytest.raises(JoinError, match="runs no SQL"):
        history(shop, "SELECT * FROM sales")
    with pytest.raises(ColumnNotFound, match=r"'product_id' in the labels .*view 'stock'.*sku"):
        history(shop, ask("pen").rename(columns={"product_id": "sku"}))
    with pytest.raises(JoinError, match="could be seconds or milliseconds"):
        history(shop, ask("pen", at=1715342400))
    with pytest.raises(JoinError, match="cannot be read as times"):
        history(shop, ask("pen", at="yesterday-ish"))
    with pytest.raises(JoinError, match=r"view 'stock': .*int64.*string.*Convert"):
        history(shop, ask(1, 2))
    with pytest.raises(JoinError, match=r"'units'|units, which"):
        history(shop, ask("pen", units=[1]))


def test_a_deep_view_that_was_never_embedded_says_what_to_run(make_store):
    from deepfeast.transforms.features import DeepFeature, DeepViewSpec

    spec = DeepViewSpec("deep", "raw", (DeepFeature("vec", "text", "minilm"),))
    view = FeatureView(
        name="deep",
        entities=[product],
        schema=[Field(name="vec", dtype=Array(Float32), vector_length=2)],
        source=FileSource(
            path="data/embeddings/deep", file_format=DeltaFormat(), timestamp_field="at"
        ),
        tags={"deepfeast": spec.to_tag()},
    )
    store = make_store(product, view)
    with pytest.raises(NeverEmbedded, match="Run: deepfeast embed deep"):
        history(store, ask("pen"), ["deep:vec"])


def test_apply_checks_the_times_of_what_is_there(make_store, write, tmp_path):
    path = write(STOCK.drop(columns="entered_at"))
    (tmp_path / "repo" / "data" / "raw.csv").write_text("product_id,title\npen,A pen\n")
    store = make_store()
    validate = store.provider.validate_data_source
    validate(store.config, FileSource(path="data/later", file_format=DeltaFormat()))
    with pytest.raises(ColumnNotFound, match="no column 'at'"):
        validate(store.config, FileSource(path="data/raw.csv", timestamp_field="at"))
    with pytest.raises(ColumnNotFound, match="no column 'entered_at' in source 'stock_source'"):
        validate(store.config, stock_view(str(path)).batch_source)


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


@pytest.mark.parametrize("place", ["saved.parquet", "saved_folder", "saved_delta"])
def test_a_result_is_saved_once_and_read_again(shop, tmp_path, place):
    form = {"file_format": DeltaFormat()} if place == "saved_delta" else {}
    storage = SavedDatasetFileStorage(f"data/{place}", **form)

    def save(**options):
        job = shop.get_historical_features(ask("pen", "ink"), features=["stock:units"])
        return shop.create_saved_dataset(job, "sales", storage, **options)

    with pytest.warns(RuntimeWarning, match="experimental"):
        save()
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        save()
    save(allow_overwrite=True)
    saved = shop.get_saved_dataset("sales").to_df()
    assert sorted(saved["units"]) == [10, 20]
    assert (tmp_path / "repo" / "data" / place).exists()


def test_a_large_result_is_written_in_parts(make_store, write, tmp_path):
    write(STOCK)
    offline = {
        "type": "deepfeast.pipelines.offline_store.DeepFeastOfflineStore",
        "memory_limit": "1KB",
        "staging_location": str(tmp_path / "staging"),
    }
    store = make_store(product, stock_view(), offline_store=offline)
    job = store.get_historical_features(ask(*["pen", "ink"] * 10), features=["stock:units"])
    assert job.supports_remote_storage_export()
    paths = job.to_remote_storage()
    assert len(paths) > 1
    parts = [pd.read_parquet(path) for path in paths]
    assert pd.concat(parts)["units"].tolist() == [10, 20] * 10


def test_exporting_needs_a_place(shop):
    job = shop.get_historical_features(ask("pen"), features=["stock:units"])
    assert not job.supports_remote_storage_export()
    with pytest.raises(SpecError, match="staging_location"):
        job.to_remote_storage()


@pytest.mark.parametrize("name", ["stock.parquet", "stock_delta", "stock_folder/a.parquet"])
def test_written_rows_join_the_ones_before(make_store, write, name):
    path = write(STOCK, name)
    folder = str(Path("data") / name.split("/")[0])
    form = {"file_format": DeltaFormat()} if "delta" in name else {}
    store = make_store(product, stock_view(folder, **form))
    new = STOCK.iloc[:1].assign(product_id="cup", units=7)
    store.write_to_offline_store("stock", new)
    found = history(store, ask("cup", "pen"))
    assert found["units"].tolist() == [7, 10]
    if "delta" in name:
        assert DeltaTable(str(path)).version() == 1


def test_written_rows_must_have_the_columns_of_the_source(shop):
    with pytest.raises(ValueError, match="columns"):
        shop.write_to_offline_store("stock", STOCK[["product_id", "units"]])


def test_logged_features_are_added_as_files(shop, tmp_path):
    service = FeatureService(
        name="logged",
        features=[shop.get_feature_view("stock")[["units"]]],
        logging_config=LoggingConfig(
            destination=FileLoggingDestination(path=str(tmp_path / "logs")), sample_rate=1.0
        ),
    )
    shop.apply(service)
    logs = pa.table(
        {
            "product_id": ["pen", "ink"],
            "stock__units": [10, 20],
            "stock__units__timestamp": pa.array([NOON, NOON], pa.timestamp("us", "UTC")),
            "stock__units__status": [2, 2],
            "__log_timestamp": pa.array([NOON, NOON], pa.timestamp("us", "UTC")),
            "__log_date": pa.array([NOON.date()] * 2),
            "__request_id": ["1", "2"],
        }
    )
    service = shop.get_feature_service("logged")
    shop.write_logged_features(logs, service)
    shop.write_logged_features(logs, service)
    read = shop.provider.retrieve_feature_service_logs(
        service, NOON - DAY, NOON + DAY, shop.config, shop.registry
    )
    assert sorted(read.to_df()["stock__units"]) == [10, 10, 20, 20]


def test_sizes_are_read_as_people_write_them():
    assert [_bytes(size) for size in ("4GB", "512 MiB", "1.5k", "7")] == [
        *(4_000_000_000, 512 * 1024**2),
        *(1500, 7),
    ]
    with pytest.raises(SpecError, match="'a lot' is no size"):
        _bytes("a lot")
