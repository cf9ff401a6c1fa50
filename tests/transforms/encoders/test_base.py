"""Encoders by name, and what every encoder gets from the base."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.base import distinct
from deepfeast.transforms.errors import EncoderNotFound, Reject
from deepfeast.transforms.testing import WordLengths


def test_each_distinct_value_is_encoded_once():
    encoder = WordLengths(2)
    vectors = encoder.encode(["red shirt", "hat", "red shirt"])
    assert vectors.tolist() == [[3, 5], [3, 0], [3, 5]]
    assert encoder.encoded == 2


def test_a_bad_value_stands_alone_at_every_place_it_has():
    encoded = WordLengths(2).encode_safely(["poison", "hat", "poison"])
    assert {place: reject.reason for place, reject in encoded.rejects.items()} == {
        0: "poisoned",
        2: "poisoned",
    }
    assert encoded.vectors[1].tolist() == [3, 0]
    assert np.isnan(encoded.vectors[[0, 2]]).all()


def test_values_are_prepared_a_window_ahead_in_threads():
    encoder = WordLengths(1)
    encoder.window, encoder.prepare_threads = 2, 2
    texts = ["x" * n for n in range(1, 12)] + ["poison"]
    encoded = encoder.encode_safely(texts)
    assert encoded.vectors[:11, 0].tolist() == list(range(1, 12))
    assert isinstance(encoded.rejects[11], Reject)


def test_trouble_with_one_value_is_its_own_in_preparing_and_in_a_batch():
    class Halves(WordLengths):
        def prepare(self, value):
            return [1 / len(value)]

        def encode_batch(self, prepared):
            if [1.0] in prepared:
                raise RuntimeError("one is too many")
            return super().encode_batch(prepared)

    encoded = Halves(1).encode_safely(["ab", "", "a", "abcd"])
    assert {place: str(reject) for place, reject in encoded.rejects.items()} == {
        1: "encoder_failed: ZeroDivisionError: division by zero",
        2: "encoder_failed: RuntimeError: one is too many",
    }
    assert encoded.vectors[[0, 3], 0].tolist() == [0.5, 0.25]


def test_arrays_cannot_be_hashed_and_stand_alone():
    pixels = np.zeros((2, 2, 3), np.uint8)
    assert distinct([pixels, pixels]) == [[0], [1]]


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(EncoderNotFound, match=r"kinds: hf:.*Did you mean 'minilm'\?"):
        get_encoder("minilmm")


def test_an_encoder_pickles_without_its_network():
    encoder = get_encoder("python:deepfeast.transforms.testing:WordLengths?dim=2")
    encoder.encode(["hat"])
    again = pickle.loads(pickle.dumps(encoder))
    assert again.encode(["red shirt"]).tolist() == [[3, 5]]


def test_another_package_brings_an_encoder_by_entry_point(tmp_path, monkeypatch):
    package = tmp_path / "shop_encoders-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-encoders\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[deepfeast.encoders]\nword-lengths = deepfeast.transforms.testing:WordLengths\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert get_encoder("word-lengths?dim=3").encode(["red shirt"]).tolist() == [[3, 5, 0]]


def test_naming_and_listing_load_no_network():
    import subprocess
    import sys

    code = (
        "import sys, deepfeast.transforms.encoders, deepfeast.transforms.encoders.listing,"
        "deepfeast.transforms.images, deepfeast.transforms.encoders.reduce;"
        "heavy = {'torch', 'transformers', 'sklearn', 'onnxruntime', 'PIL'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
