import pytest

from deepfeast.transforms.encoders.compose import PooledEncoder, ReducedEncoder
from deepfeast.transforms.encoders.registry import build_encoder, get_encoder, names
from deepfeast.transforms.errors import EncoderNotFound, SpecError
from deepfeast.transforms.features import DeepFeature
from deepfeast.transforms.testing import WordLengths

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"


def test_options_follow_a_question_mark():
    assert isinstance(get_encoder(WORDS), WordLengths)
    assert get_encoder(WORDS).dim == 2


def test_the_names_are_these():
    assert names()[:3] == ["minilm", "text-tiny", "image-tiny"]


@pytest.mark.parametrize("wrong", ["image-untrained", "hff:/a/folder", ""])
def test_what_nothing_answers_to_lists_what_there_is(wrong):
    with pytest.raises(EncoderNotFound, match="Aliases: minilm, text-tiny, image-tiny"):
        get_encoder(wrong)


def test_a_precision_and_a_length_are_checked():
    with pytest.raises(SpecError, match="expected 'fast' or 'exact'"):
        get_encoder(WORDS, precision="quick")
    with pytest.raises(SpecError, match="expected a length"):
        get_encoder("tfidf:many")


def test_a_feature_is_its_encoder_and_what_follows():
    plain = build_encoder(DeepFeature("vec", column="title", encoder=WORDS))
    short = build_encoder(DeepFeature("vec", column="title", encoder=WORDS, reduce="truncate:1"))
    photo = build_encoder(DeepFeature("vec", column="photo", encoder="image-tiny", pool="max"))
    assert (type(plain), type(short), type(photo)) == (WordLengths, ReducedEncoder, PooledEncoder)
    assert short.encode(["red shirt"]).tolist() == [[3]]
    assert isinstance(photo, PooledEncoder)
    assert photo.pool == "max"
