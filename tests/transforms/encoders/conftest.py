"""Photos, and small text networks with random weights, as plain folders of transformers."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

WORDS = ["red", "blue", "shirt", "hat", "the", "##s", "big", "a", "flat", "river"]


def draw(seed, size=(90, 70)):
    """Draw a photo: the bytes of a PNG file."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize(size)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def photo():
    """To draw any number of photos, each by its seed."""
    return draw


@pytest.fixture(scope="session")
def photos():
    """Four photos: wide, tall, square and very wide."""
    return [draw(seed, size) for seed, size in enumerate([(90, 70), (50, 80), (64, 64), (300, 40)])]


@pytest.fixture
def without_torch(monkeypatch):
    """Hide torch, as in a slim installation; `undo` brings it back."""
    monkeypatch.setitem(sys.modules, "torch", None)
    return monkeypatch


@pytest.fixture(scope="session")
def save_tokenizer():
    """To put a tokenizer of a few words into a folder; it returns their number."""

    def save(folder, **extra):
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
        ids = {word: place for place, word in enumerate(vocabulary)}
        tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="[PAD]",
            unk_token="[UNK]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            model_max_length=24,
            **extra,
        ).save_pretrained(folder)
        return len(vocabulary)

    return save


@pytest.fixture(scope="session")
def save_network(save_tokenizer):
    """To put a small network of a kind into a folder, with its tokenizer."""

    def save(kind, folder, **more):
        import torch
        import transformers as t

        size: dict[str, Any] = {"max_position_embeddings": 30, "pad_token_id": 0, **more}
        size["vocab_size"] = save_tokenizer(folder)
        wide: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2}
        wide |= {"num_attention_heads": 4, "intermediate_size": 64}
        torch.manual_seed(0)
        model = {
            "bert": lambda: t.BertModel(t.BertConfig(**size, **wide)),
            "roberta": lambda: t.RobertaModel(t.RobertaConfig(**size, **wide)),
            "distilbert": lambda: t.DistilBertModel(
                t.DistilBertConfig(**size, dim=32, hidden_dim=64, n_layers=2, n_heads=4)
            ),
        }[kind]()
        model.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="module", params=["bert", "roberta", "distilbert"])
def network(request, tmp_path_factory, save_network):
    """A small network of each kind."""
    return save_network(request.param, tmp_path_factory.mktemp(request.param))
