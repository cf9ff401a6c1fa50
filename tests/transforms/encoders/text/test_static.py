"""text-tiny: a table of word pieces, the same bits everywhere."""

import hashlib
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.text.static import WordTable, unit, weights_path
from deepfeast.transforms.errors import SpecError


def test_a_text_is_the_weighted_sum_of_its_words():
    pieces = {"red": 0, "shirt": 1, "##s": 2}
    table = WordTable(pieces, np.array([[16, 0], [0, 16], [0, 8]], dtype=np.int32))
    sums = table.sums(["red shirts", "red red red red", "unknown"])
    # A word that occurs n times weighs sixteen times the root of n.
    assert sums.tolist() == [[16 * 16, 16 * 24], [32 * 16, 0], [0, 0]]


def test_without_scipy_the_sums_are_the_same(monkeypatch):
    texts = ["red shirts, red hats", "", "a tall lamp of oak", "日本"] * 3
    table = WordTable.read(weights_path())
    expected = table.sums(texts)
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    np.testing.assert_array_equal(table.sums(texts), expected)
    assert expected[0].any()
    assert not expected[1].any()


def test_sums_too_large_for_floats_are_whole_all_the_same():
    table = WordTable({"red": 0, "hat": 1}, np.array([[1 << 20, 3], [1, 1]], dtype=np.int32))
    assert table.sums(["red hat"]).tolist() == [[16 * ((1 << 20) + 1), 16 * 4]]
    assert table.sums(["hat"]).tolist() == [[16, 16]]


def test_a_vector_has_length_one_and_nothing_is_nan():
    vectors = unit(np.array([[3, 4], [0, 0]], dtype=np.int32))
    assert vectors[0].tolist() == pytest.approx([0.6, 0.8])
    assert np.isnan(vectors[1]).all()


def test_the_table_on_disk_is_mantissas_and_shifts(tmp_path):
    arrays = {
        "vocabulary": np.frombuffer(b"red\nhat", dtype=np.uint8),
        "mantissas": np.array([[1, -2], [3, 0]], dtype=np.int8),
        "shifts": np.array([0, 2], dtype=np.uint8),
    }
    save_file(arrays, tmp_path / "t.safetensors")
    read = WordTable.read(tmp_path / "t.safetensors")
    assert read.vectors.tolist() == [[1, -2], [12, 0]]


def test_the_encoder_that_ships():
    encoder = get_encoder("text-tiny")
    assert (encoder.dim, encoder.modality) == (320, "text")
    one, two, far = encoder.encode(
        ["a red velvet armchair", "an armchair covered in red velvet", "the tax on imported steel"]
    )
    assert one @ two > 0.7 > one @ far
    found = encoder.encode_safely(["red", 7, " "])
    assert {row: one.reason for row, one in found.rejects.items()} == {
        1: "not_text",
        2: "text_blank",
    }


def test_the_batch_never_matters_not_in_a_single_bit():
    texts = [f"chair {number} of oak and {'old ' * (number % 9)}leather" for number in range(300)]
    encoder = get_encoder("text-tiny")
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in reversed(texts)])[::-1]
    assert np.array_equal(together, alone)


def test_the_bits_are_those_of_all_releases():
    texts = ["Red velvet armchair, 1920s; seats two.", "Ein Stuhl aus Eiche für zwei", "日本の椅子"]
    vectors = get_encoder("text-tiny").encode([*texts, " ".join(texts * 50)])
    assert vectors.dtype == np.dtype("<f4")
    assert hashlib.sha256(vectors.tobytes()).hexdigest()[:16] == "837bb5266fad9c5f"


def test_an_option_is_refused():
    with pytest.raises(SpecError, match="no option 'pool'"):
        get_encoder("text-tiny?pool=max")
