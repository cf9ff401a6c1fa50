import pytest

from deepfeast.transforms.columns import service_columns
from deepfeast.transforms.errors import FeatureNotFound, JoinError, SpecError


@pytest.fixture
def store(make_store):
    from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Float32, Int64, String

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="s", path="data/s.parquet", timestamp_field="at")
    schema = [
        Field(name="vec", dtype=Array(Float32), vector_length=2),
        Field(name="size", dtype=Int64),
        Field(name="tags", dtype=Array(String)),
        Field(name="ragged", dtype=Array(Float32)),
    ]
    views = [
        FeatureView(name=name, entities=[shop], schema=schema, source=source)
        for name in ("old", "new")
    ]
    service = FeatureService(name="model", features=[views[1][["size", "vec"]], views[0][["tags"]]])
    renamed = FeatureService(name="alias", features=[views[0].with_name("was")[["size"]]])
    return make_store(shop, source, *views, service, renamed, offline_store={"type": "file"})


def flat(columns):
    return [name for feature in columns for name in feature.columns]


def test_columns_follow_the_order_of_the_service(store):
    columns = service_columns(store, "model")
    assert [(c.view, c.feature, c.dim) for c in columns] == [
        ("new", "size", None),
        ("new", "vec", 2),
        ("old", "tags", None),
    ]
    assert flat(columns) == ["size", "vec_000", "vec_001", "tags"]
    assert columns == service_columns(store, store.get_feature_service("model"))


def test_full_names_put_the_view_in_front(store):
    columns = service_columns(store, "model", full_feature_names=True)
    assert flat(columns) == ["new__size", "new__vec_000", "new__vec_001", "old__tags"]
    assert [c.name for c in columns] == ["new__size", "new__vec", "old__tags"]


def test_an_alias_is_the_view_of_references_and_full_names(store):
    (column,) = service_columns(store, "alias", full_feature_names=True)
    assert (column.reference, column.registered, column.name) == ("was:size", "old", "was__size")


def test_references_work_as_well_as_a_service(store):
    assert flat(service_columns(store, ["old:vec", "new:size"])) == ["vec_000", "vec_001", "size"]


def test_an_array_without_a_declared_length_stays_one_column(store):
    (column,) = service_columns(store, ["old:ragged"])
    assert (column.dim, column.columns) == (None, ("ragged",))


def test_what_is_not_there_is_named_with_what_is(store):
    with pytest.raises(FeatureNotFound, match=r"Did you mean 'model'"):
        service_columns(store, "modle")
    with pytest.raises(FeatureNotFound, match="Views: new, old"):
        service_columns(store, ["nwe:size"])
    with pytest.raises(FeatureNotFound, match="It has: vec, size, tags, ragged"):
        service_columns(store, ["new:sise"])
    with pytest.raises(SpecError, match="view:feature"):
        service_columns(store, ["size"])


def test_two_features_cannot_share_a_column(store):
    with pytest.raises(JoinError, match="full_feature_names=True"):
        service_columns(store, ["old:size", "new:size"])
