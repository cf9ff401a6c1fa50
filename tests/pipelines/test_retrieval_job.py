"""A result is the same whole, in parts, and as files."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import Field, RepoConfig, RequestSource
from feast.data_format import DeltaFormat
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

from deepfeast.pipelines.retrieval_job import DeepFeastRetrievalJob, OneEntity, _bytes, _rows_within
from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.files.table import open_table
from deepfeast.transforms.history.views import StoredRows

DAY = timedelta(days=1)
NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)


@pytest.fixture
def stored(write):
    """Seven of ten rows of a table of whole numbers."""
    path = write(pa.table({"n": range(10)}), "numbers.parquet")
    rows = np.array([0, 1, 2, 4, 6, 8, 9])
    return StoredRows(open_table(str(path)), rows, ["n"])


def job_of(found, memory_limit="4GB"):
    ours = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
    offline = {"type": ours, "memory_limit": memory_limit}
    config = RepoConfig(
        project="shop",
        registry="registry.db",
        provider="local",
        offline_store=offline,
        entity_key_serialization_version=3,
    )
    return DeepFeastRetrievalJob(lambda: found, config)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 100, None])
def test_the_parts_of_a_result_are_the_whole(stored, rows):
    parts = list(job_of(stored).batches(rows))
    assert [len(part) for part in parts[:-1]] == [rows] * (len(parts) - 1)
    assert pa.concat_tables(parts).equals(job_of(stored).to_arrow())
    assert pa.concat_tables(parts)["n"].to_pylist() == [0, 1, 2, 4, 6, 8, 9]


def test_a_part_has_as_many_rows_as_the_memory_has_room_for(stored):
    size = 4 * stored.row_bytes + 1
    assert _rows_within(f"{int(size * 3)}", stored) == 3
    assert [len(part) for part in job_of(stored, "1B").batches()] == [1] * 7


def test_a_result_without_rows_is_one_part_with_its_columns(stored):
    (part,) = job_of(StoredRows(stored.table, np.array([], int), ["n"])).batches()
    assert (part.column_names, len(part)) == (["n"], 0)


def test_rows_without_entities_have_the_key_that_feast_writes_them_by(stored):
    found = OneEntity(stored).to_table(slice(2, 4))
    assert found.to_pydict() == {"n": [2, 4], DUMMY_ENTITY_ID: [DUMMY_ENTITY_VAL] * 2}
    assert len(OneEntity(stored)) == 7


def test_what_is_computed_on_demand_is_one_part_and_no_matrix(shop, stock):
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Float64, Int64

    basket = RequestSource(name="basket", schema=[Field(name="wanted", dtype=Int64)])

    @on_demand_feature_view(
        sources=[shop.get_feature_view("stock"), basket],
        schema=[Field(name="left", dtype=Float64)],
    )
    def after_sale(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"left": inputs["units"] - inputs["wanted"].astype(float)})

    shop.apply([after_sale])
    rows = stock.ask("pen", "ink", wanted=[3, 3])
    job = shop.get_historical_features(rows, features=["after_sale:left"])
    (part,) = job.batches(1)
    assert part["left"].to_pylist() == [7, 17]
    assert job.point_in_time is None
    plain = shop.get_historical_features(stock.ask("pen"), features=["stock:units"])
    assert len(plain.point_in_time()) == 1


@pytest.mark.parametrize("place", ["saved.parquet", "saved_folder", "saved_delta"])
def test_a_result_is_saved_once_and_read_again(shop, tmp_path, place, stock):
    form = DeltaFormat() if place == "saved_delta" else None
    storage = SavedDatasetFileStorage(f"data/{place}", file_format=form)

    def save(**options):
        job = shop.get_historical_features(stock.ask("pen", "ink"), features=["stock:units"])
        return shop.create_saved_dataset(job, "sales", storage, **options)

    with pytest.warns(RuntimeWarning, match="experimental"):
        save()
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        save()
    save(allow_overwrite=True)
    saved = shop.get_saved_dataset("sales").to_df()
    assert sorted(saved["units"]) == [10, 20]
    assert (tmp_path / "repo" / "data" / place).exists()


def test_a_large_result_is_written_in_parts(make_store, write, tmp_path, stock):
    write(stock.rows)
    offline = {
        "type": "deepfeast.pipelines.offline_store.DeepFeastOfflineStore",
        "memory_limit": "1KB",
        "staging_location": str(tmp_path / "staging"),
    }
    store = make_store(stock.product, stock.view(), offline_store=offline)
    job = store.get_historical_features(stock.ask(*["pen", "ink"] * 10), features=["stock:units"])
    assert job.supports_remote_storage_export()
    paths = job.to_remote_storage()
    assert len(paths) > 1
    parts = [pd.read_parquet(path) for path in paths]
    assert pd.concat(parts)["units"].tolist() == [10, 20] * 10


def test_exporting_needs_a_place(shop, stock):
    job = shop.get_historical_features(stock.ask("pen"), features=["stock:units"])
    assert not job.supports_remote_storage_export()
    with pytest.raises(SpecError, match="staging_location"):
        job.to_remote_storage()


def test_sizes_are_read_as_people_write_them():
    assert [_bytes(size) for size in ("4GB", "512 MiB", "1.5k", "7")] == [
        *(4_000_000_000, 512 * 1024**2),
        *(1500, 7),
    ]
    with pytest.raises(SpecError, match="'a lot' is no size"):
        _bytes("a lot")
