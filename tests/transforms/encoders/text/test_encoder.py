"""Texts of any kind, in any order and batch, give the same vectors or a reject."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.machine import smallest_cosine
from deepfeast.transforms.encoders.text.encoder import whole_characters
from deepfeast.transforms.errors import SpecError


@settings(max_examples=12, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=12), st.randoms())
def test_order_and_batches_never_matter(fast, texts, random):
    once = fast.encode_safely(texts)
    order = list(range(len(texts)))
    random.shuffle(order)
    again = fast.encode_safely([texts[place] for place in order])
    for there, place in enumerate(order):
        assert (there in again.rejects) == (place in once.rejects)
        if place not in once.rejects:
            alone = fast.encode([texts[place]])[0]
            assert smallest_cosine(once.vectors[[place]], again.vectors[[there]]) >= 0.9999
            assert smallest_cosine(once.vectors[[place]], alone[None]) >= 0.9999


def test_threads_are_counted_and_the_callers_setting_stays(network, texts):
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    encoder = get_encoder(f"hf:{network}?pooling=mean", threads=1)
    encoder.encode(texts)
    kept = torch.get_num_threads()
    torch.set_num_threads(before)
    assert (encoder.workers, kept) == (1, 2)


def test_a_pickle_holds_no_weights(minilm):
    minilm.encode(["hat"])
    kept = pickle.dumps(minilm)
    assert len(kept) < 2000
    assert (pickle.loads(kept).encode(["hat"]) == minilm.encode(["hat"])).all()


def test_memory_is_flat_in_the_number_of_values(network, monkeypatch):
    """A window of texts is held tokenised, not all of them."""
    encoder = get_encoder(f"hf:{network}?pooling=mean", threads=1)
    encoder.window = 50
    held: list[int] = []
    plain = encoder.prepare_many

    def prepare_many(values):
        held.append(len(values))
        return plain(values)

    monkeypatch.setattr(encoder, "prepare_many", prepare_many)
    encoder.encode([f"red {'hat ' * (n % 7)}{n}" for n in range(501)])
    assert max(held) == 50


def test_a_gpu_gives_the_same(minilm, texts):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    on_gpu = get_encoder("minilm?device=cuda", precision="exact")
    assert smallest_cosine(minilm.encode(texts), on_gpu.encode(texts)) >= 0.9999
    assert on_gpu.fingerprint == minilm.fingerprint
    assert "cuda" in on_gpu.info["engine"]


def test_no_text_is_a_crash(fast):
    odd = ["\ud83d", "\x00\x01", "😀" * 300, "שלום עולם", "a" * 1_000_000, "x " * 500_000]
    encoded = fast.encode_safely([*odd, "", " \n", None, 3.5])
    assert not set(range(len(odd))) & set(encoded.rejects)
    reasons = {place: reject.reason for place, reject in encoded.rejects.items()}
    assert list(reasons.values()) == ["text_blank", "text_blank", "not_text", "not_text"]
    assert encoded.counts["truncated"] == 2  # the two long ones


def test_surrogates():
    assert whole_characters("a\ud83d\ude00b\ud83dc") == "a\U0001f600b\ufffdc"


def test_every_option_is_in_the_fingerprint(network):
    options = ["pooling=mean", "pooling=cls", "pooling=mean&normalize=1"]
    options += ["pooling=mean&max_length=9", "pooling=mean&prompt_text=the"]
    prints = {get_encoder(f"hf:{network}?{option}").fingerprint for option in options}
    assert len(prints) == len(options)


def test_other_weights_are_another_fingerprint(network, tmp_path):
    shutil.copytree(network, tmp_path / "other")
    weights = tmp_path / "other" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    one, other = (get_encoder(f"hf:{f}?pooling=mean") for f in (network, tmp_path / "other"))
    assert one.fingerprint != other.fingerprint


def test_a_misspelt_option_is_said(network):
    with pytest.raises(SpecError, match="Did you mean 'pooling'"):
        get_encoder(f"hf:{network}?poolin=mean")


def test_the_first_vector_needs_no_transformers(minilm):
    """Cold start: only torch, tokenizers and the weights are read."""
    code = (
        "import sys; from deepfeast.transforms.encoders import get_encoder;"
        "print(get_encoder('minilm').encode(['hat']).shape, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 384) False"
