"""A warehouse that is not reached, is not named, or is not PostgreSQL."""

import pytest
from feast import Entity, FeatureView, Field, ValueType
from feast.types import Float64, Int64, String

from deepfeast.pipelines.doctor import render
from deepfeast.pipelines.doctor.warehouse import check_warehouse
from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms import DeepFeature, deep_feature_view
from deepfeast.transforms.warehouse import postgres as dialect

PRODUCT = Entity(name="product", join_keys=["product_id"], value_type=ValueType.STRING)


@pytest.fixture
def stock(postgres):
    """A view whose source calls a column otherwise, and has one of another type."""
    at, made = "at timestamptz", "made timestamptz"
    postgres.run(f"CREATE TABLE stock (product_id text, unit int, price text, {at}, {made})")
    fields = {"product_id": String, "units": Int64, "price": Float64}
    return FeatureView(
        name="stock",
        entities=[PRODUCT],
        schema=[Field(name=name, dtype=dtype) for name, dtype in fields.items()],
        source=postgres.source("stock", "at", created_timestamp_column="made"),
    )


@pytest.fixture
def shop(make_store, postgres, stock):
    block = {"type": STORE, "warehouse": dict(postgres.block)}
    return make_store(PRODUCT, stock, offline_store=block)


def found(store):
    return list(check_warehouse(store, store.list_feature_views()))


def test_a_server_that_is_down_is_told_once_without_its_password(shop):
    shop.config.offline_store.warehouse.update(port=1, password="hush-hush")
    (finding,) = found(shop)
    assert (finding.level, finding.where) == ("error", "offline_store")
    assert "the warehouse: PostgreSQL at 127.0.0.1:1, database 'postgres' does not" in finding.what
    assert "hush-hush" not in render([finding])


@pytest.mark.parametrize("given", ["wrong-word", ""])
def test_a_wrong_password_is_refused_by_the_server_and_not_told(shop, postgres, given):
    user = postgres.strict_user("right-word")
    shop.config.offline_store.warehouse.update(user=user, password=given)
    (finding,) = found(shop)
    assert f"refuses user '{user}'" in finding.what
    assert "word" not in finding.what.replace("password", "")
    shop.config.offline_store.warehouse["password"] = "right-word"
    assert not [finding for finding in found(shop) if finding.where == "offline_store"]


def test_a_block_that_lacks_something_is_told_without_its_values(shop):
    block = shop.config.offline_store.warehouse
    block.update(port="hush-hush")
    (finding,) = found(shop)
    assert "port: Input should be a valid integer" in finding.what
    assert "hush-hush" not in render([finding])


def test_any_other_warehouse_is_asked_for_its_columns_and_the_rest_is_said(shop, monkeypatch):
    monkeypatch.setattr(dialect, "speaks", lambda warehouse: False)
    lacks, price, note = found(shop)
    assert lacks.what.startswith("no column 'units' in its source 'stock'")
    assert "'price' of its source 'stock' is text and is declared as double" in price.what
    assert "Not checked, for Feast has no call for it: rights, indexes" in note.what
    shop.config.offline_store.warehouse.update(port=1, password="hush-hush")
    (finding,) = found(shop)
    assert "cannot be read: OperationalError: connection" in finding.what
    assert "hush-hush" not in finding.what


def test_a_deep_view_of_a_warehouse_that_nobody_named(make_store, postgres, stock):
    raw = postgres.source("stock", "at", created_timestamp_column="made")
    feature = DeepFeature("vec", column="price", encoder="text-tiny")
    deep = deep_feature_view(name="deep", entities=[PRODUCT], source=raw, features=[feature])
    views = [stock, deep]
    theirs = make_store(PRODUCT, raw, *views, offline_store=postgres.block)
    (finding,) = check_warehouse(theirs, views)  # Feast's own store reads the other view
    assert finding.where == "view deep"
    assert "'stock' lies in no files, and this repo names no warehouse" in finding.what
    assert "warehouse: {<what stood" in finding.mend
