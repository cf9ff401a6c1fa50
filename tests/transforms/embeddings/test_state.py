from datetime import datetime, timezone

import pytest

from deepfeast.transforms.embeddings.state import fits_of, fitted_encoder, state_path
from deepfeast.transforms.encoders import build_encoder
from deepfeast.transforms.errors import EncoderError, NeverEmbedded
from deepfeast.transforms.features import DeepFeature
from deepfeast.transforms.files.fetch import local

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
SHORT = DeepFeature("vec", column="title", encoder=WORDS, reduce="pca:1")


@pytest.fixture
def fitted(tmp_path):
    """A table's folder with the state of SHORT, and its fingerprint."""
    encoder = build_encoder(SHORT)
    encoder.fit(["x y", "xxx y", "xxxxx y"])
    path = state_path(tmp_path, encoder.fingerprint)
    path.parent.mkdir(parents=True)
    encoder.save_state(local(path))
    return tmp_path, encoder.fingerprint


def test_an_encoder_comes_back_as_its_table_has_it(fitted):
    encoder = fitted_encoder(SHORT, *fitted)
    assert encoder.encode(["xxxxx y", "xxx y"]).tolist() == [[2], [0]]


def test_a_table_without_the_state_was_never_embedded(tmp_path):
    with pytest.raises(NeverEmbedded, match="fitted by its first run"):
        fitted_encoder(SHORT, tmp_path, "0" * 64)


def test_another_encoder_than_the_tables_is_refused(tmp_path):
    plain = DeepFeature("vec", column="title", encoder=WORDS)
    with pytest.raises(EncoderError, match="its table 000000000000…"):
        fitted_encoder(plain, tmp_path, "0" * 64)


def test_a_fit_of_an_older_run_was_no_later_than_its_horizon_or_the_run_itself():
    day = 86_400_000_000
    meta = {
        "created": 3 * day,
        "fits": {"a": {"rows": 2, "until": day}, "b": {"rows": 2, "until": None}},
    }
    fits = fits_of(meta)
    assert fits["a"].last == datetime(1970, 1, 2, tzinfo=timezone.utc)
    assert fits["b"].last == datetime(1970, 1, 4, tzinfo=timezone.utc)
    assert fits["b"].first is None
    assert fits_of({"created": 0}) == {}
