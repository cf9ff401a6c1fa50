"""Names of a package load on first use; others are what Python says of them."""

import pytest

from deepfeast.transforms.late import load


def test_a_name_comes_from_its_own_module_and_a_wrong_one_is_no_attribute():
    from deepfeast.transforms.arrow import vector_field

    home = {"vector_field": "arrow"}
    assert load("deepfeast.transforms", home, "vector_field") is vector_field
    with pytest.raises(
        AttributeError, match=r"module 'deepfeast\.transforms' has no attribute 'x'"
    ):
        load("deepfeast.transforms", home, "x")
