import pytest

from deepfeast.transforms.encoders.options import check_options, find_factory
from deepfeast.transforms.errors import EncoderNotFound, SpecError
from deepfeast.transforms.testing import WordLengths


def test_an_unknown_option_offers_its_neighbour():
    check_options("hf", ["pooling"], ["pooling", "layer"])
    with pytest.raises(SpecError, match=r"no option 'poling' of hf\. .*Did you mean 'pooling'"):
        check_options("hf", ["poling"], ["pooling", "layer"])
    with pytest.raises(SpecError, match="Known: none"):
        check_options("tfidf", ["x"], [])


def test_a_factory_is_found_by_its_dotted_path():
    assert find_factory("deepfeast.transforms.testing:WordLengths") is WordLengths


@pytest.mark.parametrize("wrong", ["no_such_module:x", "deepfeast.transforms.testing:Nothing", ""])
def test_a_factory_that_is_not_there_says_how_to_write_one(wrong):
    with pytest.raises(EncoderNotFound, match=r"Write package\.module:name"):
        find_factory(wrong)
