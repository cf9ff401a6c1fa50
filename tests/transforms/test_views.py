from datetime import timedelta

import pytest
from feast import Entity, FeatureStore, FileSource, PushSource, ValueType

from deepfeast.transforms import DeepFeature, deep_feature_view
from deepfeast.transforms.errors import EncoderNotFound, FeatureNotFound, SpecError
from deepfeast.transforms.features import deep_spec
from deepfeast.transforms.views import find_deep_view

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=3"
shirt = Entity(name="shirt", join_keys=["id"], value_type=ValueType.STRING)
raw = FileSource(name="raw", path="raw.parquet", timestamp_field="event_timestamp")


def view(*features, source=raw, **more):
    ttl = timedelta(days=1)
    return deep_feature_view(
        name="deep", entities=[shirt], source=source, features=features, ttl=ttl, **more
    )


def test_a_declaration_becomes_a_plain_view_with_its_vectors_length():
    field = view(DeepFeature("vec", column="title", encoder=WORDS)).schema[0]
    assert (field.name, field.vector_length) == ("vec", 3)


def test_what_belongs_together_is_a_tag_that_leaves_the_spec_as_it_was():
    vec = DeepFeature("vec", column="title", encoder=WORDS)
    assert view(vec, groups="seller").tags == {**view(vec).tags, "deepfeast_groups": "seller"}


def test_one_feature_may_be_searched_by_its_vectors_as_feast_declares_it():
    vec = DeepFeature("vec", column="title", encoder=WORDS, vector_index="cosine")
    declared = view(DeepFeature("plain", column="title", encoder=WORDS), vec).features
    found = {one.name: (one.vector_index, one.vector_search_metric) for one in declared}
    assert found == {"plain": (False, None), "vec": (True, "cosine")}
    with pytest.raises(
        SpecError, match="gives vec and other a vector_index, and Feast searches one"
    ):
        view(vec, DeepFeature("other", column="title", encoder=WORDS, vector_index="L2"))


def test_the_registry_gives_back_an_equal_spec(tmp_path):
    (tmp_path / "feature_store.yaml").write_text(
        "project: shirts\nregistry: registry.db\nprovider: local\n"
        "online_store: {type: sqlite, path: online.db}\nentity_key_serialization_version: 3\n"
    )
    store = FeatureStore(str(tmp_path))
    declared = view(
        DeepFeature("vec", column="title", encoder=WORDS, reduce="l2"),
        DeepFeature(
            "photo",
            column="photo",
            encoder="image-tiny",
            root="/photos",
            pool="max",
            allow_hosts=[".example.org"],
        ),
    )
    store.apply([shirt, raw, declared])
    found, spec = find_deep_view(FeatureStore(str(tmp_path)), "deep")
    assert spec == deep_spec(declared)
    assert spec.feature("photo").pool == "max"
    assert spec.feature("photo").allow_hosts == (".example.org",)
    assert isinstance(found.batch_source, FileSource)
    assert found.batch_source.path == "data/embeddings/deep"
    with pytest.raises(FeatureNotFound, match="Did you mean 'deep'"):
        find_deep_view(store, "depp")


def test_a_view_needs_features_of_different_names_and_an_event_time():
    vec = DeepFeature("vec", column="title", encoder=WORDS)
    with pytest.raises(SpecError, match="no features"):
        view()
    with pytest.raises(SpecError, match="two features of view 'deep' are called vec"):
        view(vec, vec)
    with pytest.raises(SpecError, match="timestamp_field"):
        view(vec, source=FileSource(name="raw", path="raw.parquet"))


def test_a_source_may_be_a_table_of_a_warehouse_but_must_keep_rows():
    postgres = pytest.importorskip(
        "feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source"
    )
    vec = DeepFeature("vec", column="title", encoder=WORDS)
    table = postgres.PostgreSQLSource(name="raw", table="shirts", timestamp_field="at")
    made = view(vec, source=table)
    assert deep_spec(made).source == "raw"
    assert made.batch_source.timestamp_field == "at"
    with pytest.raises(SpecError, match=r"is a PushSource, which keeps no rows.*a FileSource, or"):
        view(vec, source=PushSource(name="pushed", batch_source=table))


def test_an_unknown_encoder_is_refused_where_it_is_declared():
    with pytest.raises(EncoderNotFound, match="minilm"):
        view(DeepFeature("vec", column="title", encoder="minilmm"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"fit_until": "2024-05-01", "reduce": "l2"}, "nothing of .* with reduce='l2' is fitted"),
        ({"root": "/photos"}, "root='/photos' on deep feature 'vec': .* reads text, for which"),
        ({"pool": "max"}, "pool='max' .* Leave it out"),
        ({"allow_hosts": ["example.org"]}, "reads text, for which it means nothing"),
    ],
)
def test_an_option_that_the_encoder_has_no_use_for_is_refused(option, message):
    with pytest.raises(SpecError, match=message):
        view(DeepFeature("vec", column="title", encoder=WORDS, **option))
