import dataclasses
import json
from datetime import date, datetime, timezone

import pytest

from deepfeast.transforms.errors import FeatureNotFound, SpecError
from deepfeast.transforms.features import DeepFeature, DeepViewSpec, deep_spec

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=3"


def test_equal_specs_are_written_alike():
    spec = DeepViewSpec("deep", "raw", (DeepFeature("vec", "title", WORDS),))
    assert DeepViewSpec.from_tag(spec.to_tag()) == spec
    assert DeepViewSpec.from_tag(spec.to_tag()).to_tag() == spec.to_tag()


def test_an_ordinary_view_has_no_spec():
    assert deep_spec(object()) is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "my-vec"}, "letters, digits and underscores"),
        ({"precision": "quick"}, "'fast', 'exact'"),
        ({"pool": "median"}, "'mean', 'max'"),
        ({"storage": "int4"}, "'float32', 'int8'"),
        ({"vector_index": "near"}, "None, 'cosine', 'L2'"),
        ({"vector_index": "L2", "storage": "int8"}, "Feast's search reads float32"),
        ({"allow_hosts": "photos.example.org"}, "a list of names of hosts"),
        ({"allow_hosts": ["https://photos.example.org"]}, "without scheme, port or path"),
    ],
)
def test_a_feature_that_contradicts_itself_is_refused(wrong, message):
    with pytest.raises(SpecError, match=message):
        DeepFeature(**{"name": "vec", "column": "title", "encoder": WORDS, **wrong})


def test_a_spec_of_another_version_says_what_to_do():
    spec = DeepViewSpec("deep", "raw", (DeepFeature("vec", "title", WORDS),))
    other = json.dumps({**json.loads(spec.to_tag()), "version": 7})
    with pytest.raises(SpecError, match="spec version 7, this deepfeast reads version 1"):
        DeepViewSpec.from_tag(other)


def test_a_feature_is_found_by_name_or_its_neighbour_is_offered():
    spec = DeepViewSpec("deep", "raw", (DeepFeature("vec", "title", WORDS),))
    assert spec.feature("vec").hash_column == "vec_hash"
    with pytest.raises(FeatureNotFound, match=r"It has: vec\. Did you mean 'vec'"):
        spec.feature("vek")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2024-05-01", "2024-05-01T00:00:00+00:00"),
        ("2024-05-01T02:00:00+02:00", "2024-05-01T00:00:00+00:00"),
        ("2024-05-01T00:00:00Z", "2024-05-01T00:00:00+00:00"),
        (date(2024, 5, 1), "2024-05-01T00:00:00+00:00"),
        (datetime(2024, 5, 1), "2024-05-01T00:00:00+00:00"),
    ],
)
def test_fit_until_is_a_moment_in_utc(given, kept):
    feature = DeepFeature("vec", "title", "tfidf:2", fit_until=given)
    assert feature.fit_until == kept
    assert feature.horizon == datetime(2024, 5, 1, tzinfo=timezone.utc)
    spec = DeepViewSpec("deep", "raw", (feature,))
    assert DeepViewSpec.from_tag(spec.to_tag()) == spec


@pytest.mark.parametrize("wrong", ["soon", 20240501, "2024-13-01"])
def test_fit_until_that_is_no_time_is_refused(wrong):
    with pytest.raises(SpecError, match=r"on deep feature 'vec' is no time .* '2024-05-01'"):
        DeepFeature("vec", "title", "tfidf:2", fit_until=wrong)


def test_the_tag_of_a_view_without_later_options_is_what_it_always_was():
    spec = DeepViewSpec("deep", "raw", (DeepFeature("vec", "title", "minilm"),))
    assert (
        "storage"
        in DeepViewSpec("d", "r", (dataclasses.replace(*spec.features, storage="int8"),)).to_tag()
    )
    assert spec.to_tag() == (
        '{"features": [{"allow_hosts": [], "column": "title", "encoder": "minilm", "name": "vec", '
        '"pool": "mean", "precision": "fast", "reduce": null, "root": null}], '
        '"name": "deep", "source": "raw", "version": 1}'
    )
