"""A file that a view reads, and that is not where it is looked for."""

import pytest

from deepfeast.pipelines.doctor.files import check_file


@pytest.fixture
def told(make_store, tmp_path):
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Float32

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="s", path="data/nowhere.parquet", timestamp_field="at")
    fields = [Field(name="size", dtype=Float32)]
    view = FeatureView(name="shops", entities=[shop], schema=fields, source=source)
    store = make_store(shop, source, view, offline_store={"type": "duckdb"})
    return [finding.what for finding in check_file(store, view)]


def test_paths_and_created_times(told):
    relative, created, unread = told
    assert "in the working directory, not in the repo" in relative
    assert "no created_timestamp_column" in created
    assert "nowhere.parquet" in unread
