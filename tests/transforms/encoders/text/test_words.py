"""Word vectors of two dimensions, checked by eye."""

from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest

from deepfeast.transforms.encoders import build_encoder, get_encoder
from deepfeast.transforms.errors import EncoderError, EncoderNotFound, SpecError
from deepfeast.transforms.features import DeepFeature

TABLE: dict[str, list[float]] = {
    "red": [1, 0],
    "shirt": [0, 1],
    "the": [3, 3],
    "don't": [5, 5],
    "flat": [0.5, -2],
}
TEXTS = ["the red shirt", "the flat", "red flat the the", "shirt", "the the the"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    lines = [f"{word} {x} {y}" for word, (x, y) in TABLE.items()]
    (folder / "glove.txt").write_text("\n".join(lines) + "\n. . 7 7\n", encoding="utf-8")
    (folder / "w2v.txt").write_text("\n".join([f"{len(TABLE)} 2", *lines]) + "\n", encoding="utf-8")
    binary = b"".join(w.encode() + b" " + struct.pack("<2f", *v) + b"\n" for w, v in TABLE.items())
    (folder / "w2v.bin").write_bytes(b"%d 2\n" % len(TABLE) + binary)
    return folder


@pytest.mark.parametrize(
    "name", ["glove:{}/glove.txt", "word2vec:{}/w2v.txt", "word2vec:{}/w2v.bin"]
)
def test_a_text_is_the_mean_of_its_words(files, name):
    encoder = get_encoder(name.format(files))
    assert (encoder.dim, encoder.modality, encoder.needs_fit) == (2, "text", False)
    vectors = encoder.encode(["red shirt", "Red, RED!", "don't", "shirt xyzzy"])
    assert vectors.tolist() == [[0.5, 0.5], [1, 0], [5, 5], [0, 1]]


def test_unknown_words_are_counted(files):
    encoded = get_encoder(f"glove:{files}/glove.txt").encode_safely(["red xyzzy", "foo bar", "hat"])
    assert encoded.counts == {"words": 2, "unknown_words": 1}
    assert [encoded.rejects[place].reason for place in (1, 2)] == ["no_known_word"] * 2


def test_a_limit_keeps_the_most_frequent(files):
    encoder = get_encoder(f"word2vec:{files}/w2v.bin?limit=2")
    assert "no_known_word" in str(encoder.encode_safely(["flat"]).rejects[0])
    assert encoder.fingerprint != get_encoder(f"word2vec:{files}/w2v.bin").fingerprint


def test_sif_weighs_rare_words_more_and_removes_what_all_share(files, tmp_path):
    encoder = get_encoder(f"glove:{files}/glove.txt?pool=sif")
    assert encoder.needs_fit
    encoder.fit(TEXTS)
    # By hand: 13 words, a / (a + p); then without the first principal direction.
    counts = {"the": 7, "red": 2, "shirt": 2, "flat": 2}
    weight = {word: 1e-3 / (1e-3 + n / 13) for word, n in counts.items()}

    def pooled(text):
        return np.mean([weight[w] * np.array(TABLE[w]) for w in text.split()], axis=0)

    all_texts = np.stack([pooled(text) for text in TEXTS])
    shared = np.linalg.svd(all_texts)[2][0]
    expected = all_texts - np.outer(all_texts @ shared, shared)
    assert np.allclose(encoder.encode(TEXTS), expected, atol=1e-6)

    encoder.save_state(tmp_path / "sif.safetensors")
    again = get_encoder(f"glove:{files}/glove.txt?pool=sif")
    again.load_state(tmp_path / "sif.safetensors")
    assert again.fingerprint == encoder.fingerprint
    assert (pickle.loads(pickle.dumps(again)).encode(TEXTS) == encoder.encode(TEXTS)).all()


def test_from_word_vectors_to_a_contextual_encoder_is_one_string(files):
    features = [
        DeepFeature("v", column="title", encoder=name)
        for name in (f"word2vec:{files}/w2v.bin", "tfidf:2")
    ]
    assert [build_encoder(feature).dim for feature in features] == [2, 2]


def test_what_is_wrong_with_a_file(files, tmp_path):
    with pytest.raises(EncoderNotFound, match="no file"):
        get_encoder("glove:/none.txt")
    with pytest.raises(EncoderError, match="glove:"):
        _ = get_encoder(f"word2vec:{files}/glove.txt").dim
    (tmp_path / "cut.bin").write_bytes((files / "w2v.bin").read_bytes()[:-6])
    with pytest.raises(EncoderError, match="ends too early"):
        get_encoder(f"word2vec:{tmp_path}/cut.bin").encode(["red"])
    with pytest.raises(SpecError, match="mean or sif"):
        get_encoder(f"glove:{files}/glove.txt?pool=max")
