import numpy as np
import pytest

from deepfeast.transforms.encoders import build_encoder
from deepfeast.transforms.encoders.fitted import hash_arrays
from deepfeast.transforms.errors import EncoderError
from deepfeast.transforms.features import DeepFeature

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
TEXTS = ["x y", "xxx y", "xxxxx y"]


def encoder(fit_until=None, reduce="pca:1"):
    feature = DeepFeature("vec", column="title", encoder=WORDS, reduce=reduce, fit_until=fit_until)
    return build_encoder(feature)


def test_the_moment_until_which_it_is_fitted_is_part_of_the_fingerprint():
    may, june, never = encoder("2024-05-01"), encoder("2024-06-01"), encoder()
    for one in (may, june, never):
        one.fit(TEXTS)
    assert hash_arrays(may.state()) == hash_arrays(june.state())
    assert len({one.fingerprint for one in (may, june, never)}) == 3
    same = encoder("2024-05-01T02:00+02:00")
    same.fit(TEXTS)
    assert same.fingerprint == may.fingerprint


def test_a_state_for_another_moment_is_refused(tmp_path):
    may = encoder("2024-05-01")
    may.fit(TEXTS)
    may.save_state(tmp_path / "may.safetensors")
    with pytest.raises(EncoderError, match="another declaration"):
        encoder("2024-06-01").load_state(tmp_path / "may.safetensors")
    with pytest.raises(EncoderError, match="another declaration"):
        encoder().load_state(tmp_path / "may.safetensors")


def test_the_fingerprint_without_one_is_what_it_always_was():
    fitted = encoder()
    fitted.restore({"step0.mean": np.zeros(2), "step0.directions": np.eye(2)[:, :1]})
    assert fitted.fingerprint.startswith("9e42937c1afcaba6")


def test_arrays_hash_alike_only_with_equal_names_types_shapes_and_numbers():
    one = hash_arrays({"a": np.zeros(4)})
    assert one == hash_arrays({"a": np.zeros(4)})
    others: list[dict] = [{"b": np.zeros(4)}, {"a": np.zeros(4, int)}, {"a": np.zeros((2, 2))}]
    assert one not in {hash_arrays(other) for other in others}
