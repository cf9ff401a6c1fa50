"""Which way into an online store is taken."""

import pytest

from deepfeast.transforms.online.open import online_table


def opened(make_store, tmp_path, **settings):
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Int64

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="file", path=str(tmp_path / "shops.parquet"), timestamp_field="at")
    view = FeatureView(
        name="shops", entities=[shop], schema=[Field(name="size", dtype=Int64)], source=source
    )
    online = {"type": "sqlite", "path": str(tmp_path / "online.db"), **settings}
    store = make_store(shop, source, view, online_store=online)
    known = store.get_feature_view("shops")
    return type(online_table(store.provider.online_store, store.config, known)).__name__


def test_sqlite_is_spoken_to_in_its_own_words(make_store, tmp_path):
    assert opened(make_store, tmp_path) == "SqliteTable"


@pytest.mark.parametrize("special", ["enable_openai_compatible_store"])
def test_but_not_where_feast_fills_columns_of_its_own(make_store, tmp_path, special):
    assert opened(make_store, tmp_path, **{special: True}) == "OnlineTable"
