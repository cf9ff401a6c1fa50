"""The block of a warehouse: read as Feast reads it, its password told to nobody."""

from datetime import timedelta
from typing import Any

import pytest
from feast import FileSource, RepoConfig

from deepfeast.pipelines.offline_store import STORE, DeepFeastOfflineStoreConfig
from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.warehouse.open import (
    data_uri,
    elsewhere,
    lies_in_files,
    open_warehouse,
    photo_root,
    settings,
    warehouse_of,
)

BLOCK = {
    "type": "postgres",
    "host": "db",
    "database": "shop",
    "user": "feast",
    "password": "hush-hush",
}
FILE = FileSource(name="raw", path="raw.parquet", timestamp_field="event_timestamp")


def repo(**offline):
    return RepoConfig(
        project="shop",
        provider="local",
        registry="registry.db",
        offline_store={"type": STORE, **offline},
        entity_key_serialization_version=3,
    )


def test_the_block_is_what_feasts_own_store_gets():
    config = repo(warehouse=BLOCK, threads=1, overlap=7200)
    found = open_warehouse(config)
    assert found.kind == "postgres"
    assert type(found.store).__name__ == "PostgreSQLOfflineStore"
    assert (found.config.offline_store.host, found.config.project) == ("db", "shop")
    assert config.offline_store.threads == 1  # ours is left alone
    assert config.offline_store.overlap == timedelta(hours=2)


def test_a_repo_of_files_has_no_warehouse_and_needs_none():
    assert open_warehouse(repo()) is None
    assert lies_in_files(FILE)
    assert elsewhere(repo(), FILE) is None


def test_other_sources_say_what_to_write(postgres):
    with pytest.raises(SpecError, match=r"'stock' is a PostgreSQLSource.*warehouse: \{<what"):
        warehouse_of(repo(), postgres.source("stock"))


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"host": "db"}, "with its type"),
        ({"type": STORE}, "a store of Feast's own"),
        ({"type": "postgres", "password": "hush-hush"}, "host: Field required; database: "),
        ({**BLOCK, "port": "hush-hush"}, "port: Input should be a valid integer"),
        ({"type": "duckdb"}, "of type 'duckdb', which reads files"),
        ({"type": "nowhere.at.all.NoOfflineStore"}, "Feast cannot load its store of type"),
    ],
)
def test_a_wrong_block_is_told_without_its_values(block, told):
    with pytest.raises(SpecError, match=told) as error:
        settings(block)
    assert "hush-hush" not in str(error.value)
    with pytest.raises(SpecError, match=told):
        repo(warehouse=block)


def test_sources_of_the_warehouse_find_their_settings_in_ours():
    ours: Any = DeepFeastOfflineStoreConfig(warehouse=BLOCK)
    files: Any = DeepFeastOfflineStoreConfig()
    assert (ours.host, ours.port, ours.type) == ("db", 5432, STORE)
    assert "hush-hush" not in repr(ours)
    with pytest.raises(AttributeError, match="host"):
        _ = files.host


def test_a_source_has_a_place_and_a_folder_of_photos(postgres, tmp_path):
    config = repo(warehouse=BLOCK)
    config.repo_path = tmp_path
    table = postgres.source("stock")
    query = type(table)(name="news", query="SELECT 1", timestamp_field="at")
    assert data_uri(config, table) == "postgres://db:5432/shop.public.stock"
    assert data_uri(config, postgres.source("sales.stock")) == "postgres://db:5432/shop.sales.stock"
    assert data_uri(config, query) == "postgres://db:5432/shop.public.news"
    assert data_uri(config, FILE) == f"{tmp_path}/raw.parquet"
    assert photo_root(config, table) == photo_root(config, FILE) == str(tmp_path)
