"""Token vectors become one as sentence-transformers does it, in the form that is fast here."""

import numpy as np
import pytest

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.machine import smallest_cosine


@pytest.mark.parametrize(
    ("name", "pooling"),
    [
        ("mean_tokens", "mean"),
        ("cls_token", "cls"),
        ("max_tokens", "max"),
        ("lasttoken", "last"),
        ("mean_sqrt_len_tokens", "mean_sqrt_len"),
        ("weightedmean_tokens", "weightedmean"),
    ],
)
def test_every_pooling_equals_sentence_transformers(network, name, pooling, texts, dressed):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = dressed(network, name, normalize=True)
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(texts)
    ours = get_encoder(f"hf:{folder}", precision="exact").encode(texts)
    assert np.abs(theirs - ours).max() < 1e-5
    options = f"pooling={pooling}&normalize=1&max_length=20"
    stated = get_encoder(f"hf:{network}?{options}", precision="exact")
    assert np.abs(theirs - stated.encode(texts)).max() < 1e-5


def test_fast_agrees_with_exact(minilm, fast, texts):
    assert smallest_cosine(minilm.encode(texts), fast.encode(texts)) >= 0.999
    assert fast.info["engine"].startswith("bert, ")
    assert fast.fingerprint != minilm.fingerprint
