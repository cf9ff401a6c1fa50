import json

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
