"""Where an offline store reads from, and where it writes to."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from feast import (
    FeatureService,
    FileSource,
)
from feast.data_format import DeltaFormat
from feast.feature_logging import LoggingConfig
from feast.infra.offline_stores.file_source import FileLoggingDestination, SavedDatasetFileStorage

from deepfeast.transforms.errors import (
    ColumnNotFound,
)

DAY = timedelta(days=1)
NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)


def test_paths_are_relative_to_the_repo_not_to_where_one_stands(shop, monkeypatch, tmp_path, stock):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert stock.history(shop, stock.ask("pen"))["units"].tolist() == [10]


def test_delta_and_folders_of_parquet_are_read_alike(make_store, write, stock):
    write(stock.rows, "stock_delta")
    write(stock.rows.iloc[:2], "stock_folder/one.parquet")
    write(stock.rows.iloc[2:], "stock_folder/two.parquet")
    delta = stock.view("data/stock_delta", name="delta", file_format=DeltaFormat())
    store = make_store(stock.product, delta, stock.view("data/stock_folder", name="folder"))
    rows = stock.ask("ink", "pen")
    found = stock.history(store, rows, ["delta:units", "folder:units"], full_feature_names=True)
    assert found["delta__units"].tolist() == found["folder__units"].tolist() == [20, 10]


def test_a_folder_may_be_partitioned(make_store, write, stock):
    write(stock.rows.iloc[:2].drop(columns="product_id"), "parts/product_id=pen/one.parquet")
    write(stock.rows.iloc[2:3].drop(columns="product_id"), "parts/product_id=ink/one.parquet")
    store = make_store(stock.product, stock.view("data/parts"))
    assert stock.history(store, stock.ask("ink", "pen"))["units"].tolist() == [20, 10]


@pytest.mark.parametrize("name", ["empty.parquet", "empty_delta"])
def test_an_empty_table_knows_nothing(make_store, write, name, stock):
    write(pa.Table.from_pandas(stock.rows).slice(0, 0), name)
    form = {"file_format": DeltaFormat()} if "delta" in name else {}
    store = make_store(stock.product, stock.view(f"data/{name}", **form))
    assert stock.history(store, stock.ask("pen", "ink"))["units"].isna().all()
    store.materialize(NOON - DAY, NOON)


def test_object_stores_are_read_and_written_through_fsspec(make_store, stock):
    import fsspec

    memory = fsspec.filesystem("memory")
    with memory.open("/bucket/stock.parquet", "wb") as file:
        stock.rows.to_parquet(file)
    store = make_store(stock.product, stock.view("memory://bucket/stock.parquet"))
    job = store.get_historical_features(stock.ask("pen"), features=["stock:units"])
    assert job.to_df()["units"].tolist() == [10]
    job.persist(SavedDatasetFileStorage("memory://bucket/saved.parquet"))
    with memory.open("/bucket/saved.parquet") as file:
        assert pd.read_parquet(file)["units"].tolist() == [10]
    memory.rm("/bucket", recursive=True)


def test_a_source_may_call_its_columns_otherwise(make_store, write, stock):
    write(stock.rows.rename(columns={"product_id": "sku", "units": "n", "counted_at": "t"}))
    mapping = {"sku": "product_id", "n": "units", "t": "counted_at"}
    store = make_store(stock.product, stock.view(field_mapping=mapping))
    assert stock.history(store, stock.ask("pen", "ink"))["units"].tolist() == [10, 20]
    store.materialize(NOON - 9 * DAY, NOON)
    online = store.get_online_features(["stock:units"], [{"product_id": "pen"}])
    assert online.to_dict()["units"] == [10]


def test_apply_checks_the_times_of_what_is_there(make_store, write, tmp_path, stock):
    path = write(stock.rows.drop(columns="entered_at"))
    (tmp_path / "repo" / "data" / "raw.csv").write_text("product_id,title\npen,A pen\n")
    store = make_store()
    validate = store.provider.validate_data_source
    validate(store.config, FileSource(path="data/later", file_format=DeltaFormat()))
    with pytest.raises(ColumnNotFound, match="no column 'at'"):
        validate(store.config, FileSource(path="data/raw.csv", timestamp_field="at"))
    with pytest.raises(ColumnNotFound, match="no column 'entered_at' in source 'stock_source'"):
        validate(store.config, stock.view(str(path)).batch_source)


@pytest.mark.parametrize("name", ["stock.parquet", "stock_delta", "stock_folder/a.parquet"])
def test_written_rows_join_the_ones_before(make_store, write, name, stock):
    path = write(stock.rows, name)
    folder = str(Path("data") / name.split("/")[0])
    form = {"file_format": DeltaFormat()} if "delta" in name else {}
    store = make_store(stock.product, stock.view(folder, **form))
    new = stock.rows.iloc[:1].assign(product_id="cup", units=7)
    store.write_to_offline_store("stock", new)
    found = stock.history(store, stock.ask("cup", "pen"))
    assert found["units"].tolist() == [7, 10]
    if "delta" in name:
        assert DeltaTable(str(path)).version() == 1


def test_written_rows_must_have_the_columns_of_the_source(shop, stock):
    with pytest.raises(ValueError, match="columns"):
        shop.write_to_offline_store("stock", stock.rows[["product_id", "units"]])


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
