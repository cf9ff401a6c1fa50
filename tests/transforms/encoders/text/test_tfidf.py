"""TF-IDF is scikit-learn's, fitted once and frozen."""

import pickle

import numpy as np
import pytest

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.errors import EncoderError, SpecError

TEXTS = ["the red shirt", "the flat", "red flat the the", "shirt", "the the the"]


def test_tfidf_is_fitted_once_and_frozen(tmp_path):
    encoder = get_encoder("tfidf:2")
    assert (encoder.dim, encoder.needs_fit) == (2, True)
    encoder.fit(TEXTS)
    encoder.save_state(tmp_path / "tfidf.safetensors")
    again = get_encoder("tfidf:2")
    again.load_state(tmp_path / "tfidf.safetensors")
    assert again.fingerprint == encoder.fingerprint
    assert np.allclose(again.encode(TEXTS), encoder.encode(TEXTS))
    assert np.allclose(pickle.loads(pickle.dumps(encoder)).encode(TEXTS), encoder.encode(TEXTS))


def test_tfidf_equals_scikit_learn():
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    peer = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
        TruncatedSVD(2, random_state=0),
        Normalizer(),
    )
    encoder = get_encoder("tfidf:2")
    encoder.fit(TEXTS)
    assert np.allclose(peer.fit_transform(TEXTS), encoder.encode(TEXTS), atol=1e-5)


def test_a_text_of_unknown_words_is_zero_and_few_terms_are_padded():
    encoder = get_encoder("tfidf:9")
    encoder.fit(["red hat", "blue hat"])
    assert encoder.encode(["xyzzy"]).tolist() == [[0] * 9]
    assert encoder.encode(["red hat"]).shape == (1, 9)


def test_a_refit_is_another_fingerprint_and_is_used():
    encoder = get_encoder("tfidf:2")
    encoder.fit(TEXTS)
    first, vectors = encoder.fingerprint, encoder.encode(["red flat"])
    encoder.fit(["red hat", "blue flat", "flat red", "a big river"])
    assert encoder.fingerprint != first
    assert not np.allclose(encoder.encode(["red flat"]), vectors)


@pytest.mark.parametrize("wrong", ["tfidf:", "tfidf:x", "tfidf:0"])
def test_tfidf_needs_a_length(wrong):
    with pytest.raises(SpecError, match=r"tfidf:64|at least 1"):
        get_encoder(wrong)


def test_tfidf_says_when_there_is_nothing_to_fit():
    with pytest.raises(EncoderError, match="found no words"):
        get_encoder("tfidf:2").fit(["", "!"])
