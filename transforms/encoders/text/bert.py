"""The BERT family on a processor, as few passes over memory as torch allows.

Most small text encoders (MiniLM, BGE, E5, GTE, RoBERTa's kin) are one architecture. Written
out, it runs several times faster than the general code: texts lie end to end without padding,
query, key and value are one matrix product, the weights are laid out once for oneDNN, which
adds bias, GELU and residual inside the product, and each batch stays on one core.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.encoders.checkpoints import read_weights
from deepfeast.transforms.encoders.files import read_json

if TYPE_CHECKING:
    import torch

FAMILY = ("bert", "roberta", "xlm-roberta", "camembert")
_ACTIVATIONS = {"gelu": ("gelu", "none"), "relu": ("relu", ""), "gelu_new": ("gelu", "tanh")}


@dataclass
class _Layer:
    """One layer's products and normalisations."""

    qkv: Linear
    out: Linear
    norm_1: tuple[torch.Tensor, torch.Tensor]
    up: Linear
    down: Linear
    norm_2: tuple[torch.Tensor, torch.Tensor]


class Linear:
    """A linear layer laid out for oneDNN; activation or residual come inside the product."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype):
        import torch

        self.ops = torch.ops.mkldnn
        self.weight = self.ops._reorder_linear_weight(weight.to(dtype).contiguous(), 512)
        self.bias = bias.to(dtype)

    def __call__(self, x: torch.Tensor, activation: tuple[str, str] = ("none", "")) -> torch.Tensor:
        name, algorithm = activation
        return self.ops._linear_pointwise(x, self.weight, self.bias, name, [], algorithm)

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """Return the product plus a residual."""
        return self.ops._linear_pointwise.binary(x, residual, self.weight, self.bias, "add")


class Bert:
    """A network of the BERT family, from a folder of `transformers`, on the processor."""

    def __init__(self, folder: Path, dtype: torch.dtype):
        config = read_json(folder / "config.json")
        self.heads = config["num_attention_heads"]
        self.eps = config.get("layer_norm_eps", 1e-12)
        self.activation = _ACTIVATIONS[config["hidden_act"]]
        # RoBERTa counts positions from behind the padding token's id.
        self.first = 0 if config["model_type"] == "bert" else config.get("pad_token_id", 1) + 1
        weights = _without_prefix(read_weights(folder))
        self._read_embeddings(weights, dtype)
        count = config["num_hidden_layers"]
        self.layers = [
            self._read_layer(weights, f"encoder.layer.{i}.", dtype) for i in range(count)
        ]

    @staticmethod
    def suits(folder: Path) -> bool:
        """Whether a folder holds such a network, and this torch can run it so."""
        import torch

        config = read_json(folder / "config.json")
        return (
            config.get("model_type") in FAMILY
            and config.get("hidden_act") in _ACTIVATIONS
            and config.get("position_embedding_type", "absolute") == "absolute"
            and not config.get("is_decoder")
            and torch.backends.mkldnn.is_available()
            and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        )

    def __call__(self, batch: Sequence[list[int]]) -> list[torch.Tensor]:
        """Run texts given as token ids, those of one length next to each other.

        Returns
        -------
        list of tensors (n, length, hidden)
            One for each run of texts of the same length, in the order given.
        """
        import torch
        from torch.nn.functional import layer_norm

        lengths = [len(tokens) for tokens in batch]
        places = torch.cat([torch.arange(length) for length in lengths]) + self.first
        ids = torch.tensor([token for tokens in batch for token in tokens])
        x = self.words[ids] + self.positions[places]
        size = (x.shape[1],)
        x = layer_norm(x, size, *self.norm_0, self.eps)
        groups = _runs(lengths)
        for layer in self.layers:
            x = layer.out.add(self._attend(layer.qkv(x), groups), x)
            x = layer_norm(x, size, *layer.norm_1, self.eps)
            x = layer.down.add(layer.up(x, self.activation), x)
            x = layer_norm(x, size, *layer.norm_2, self.eps)
        return [x[start : start + n * length].view(n, length, -1) for start, n, length in groups]

    def _attend(self, qkv: torch.Tensor, groups: list[tuple[int, int, int]]) -> torch.Tensor:
        """Attend within each text: (tokens, 3 * hidden) to (tokens, hidden)."""
        import torch

        hidden = qkv.shape[1] // 3
        width = hidden // self.heads
        found = torch.empty(len(qkv), hidden, dtype=qkv.dtype)
        for start, n, length in groups:
            part = qkv[start : start + n * length].view(n, length, 3, self.heads, width)
            q, k, v = part.permute(2, 0, 3, 1, 4).contiguous().view(3, -1, length, width)
            # Plain products beat the flash kernel here: one text's scores fit the cache.
            scores = torch.bmm(q, k.transpose(1, 2))
            torch.softmax(scores, -1, out=scores)
            seen = torch.bmm(scores, v).view(n, self.heads, length, width)
            target = found[start : start + n * length].view(n, length, self.heads, width)
            target.copy_(seen.transpose(1, 2))
        return found

    def _read_embeddings(self, weights: dict[str, Any], dtype: torch.dtype) -> None:
        table = {name: weights[f"embeddings.{name}.weight"] for name in _TABLES}
        self.words = table["word_embeddings"].to(dtype)
        types = table["token_type_embeddings"][0]
        self.positions = (table["position_embeddings"] + types).to(dtype)
        self.norm_0 = _pair(weights, "embeddings.LayerNorm", dtype)

    def _read_layer(self, weights: dict[str, Any], at: str, dtype: torch.dtype) -> _Layer:
        import torch

        q, k, v = (_pair(weights, f"{at}attention.self.{n}") for n in ("query", "key", "value"))
        # The scores' scale goes into the query, which saves a pass over the scores.
        scale = 1 / math.sqrt(q[0].shape[0] // self.heads)
        three = ((q[0] * scale, k[0], v[0]), (q[1] * scale, k[1], v[1]))
        return _Layer(
            qkv=Linear(torch.cat(three[0]), torch.cat(three[1]), dtype),
            out=Linear(*_pair(weights, f"{at}attention.output.dense"), dtype),
            norm_1=_pair(weights, f"{at}attention.output.LayerNorm", dtype),
            up=Linear(*_pair(weights, f"{at}intermediate.dense"), dtype),
            down=Linear(*_pair(weights, f"{at}output.dense"), dtype),
            norm_2=_pair(weights, f"{at}output.LayerNorm", dtype),
        )


_TABLES = ("word_embeddings", "position_embeddings", "token_type_embeddings")


def _runs(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (first token, texts, length) for each run of equal lengths.

    >>> _runs([5, 5, 3])
    [(0, 2, 5), (10, 1, 3)]
    """
    runs: list[tuple[int, int, int]] = []
    start = 0
    for length in lengths:
        if runs and runs[-1][2] == length:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1, length)
        else:
            runs.append((start, 1, length))
        start += length
    return runs


def _pair(weights: dict[str, Any], name: str, dtype: Any = None) -> tuple[Any, Any]:
    pair = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return pair if dtype is None else (pair[0].to(dtype), pair[1].to(dtype))


def _without_prefix(weights: dict[str, Any]) -> dict[str, Any]:
    """Undo how checkpoints of a larger model name the encoder inside it, and TensorFlow's names."""
    import re

    def plain(name: str) -> str:
        name = re.sub(r"^(bert|roberta|model)\.", "", name)
        return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
            "LayerNorm.beta", "LayerNorm.bias"
        )

    return {plain(name): tensor.float() for name, tensor in weights.items() if tensor.ndim}
