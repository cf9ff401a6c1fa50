"""Token ids to text vectors: the network, its pooling and what stands on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.encoders.checkpoints import open_transformer, read_weights
from deepfeast.transforms.encoders.files import read_json
from deepfeast.transforms.encoders.machine import agrees, fast_dtype, find_device
from deepfeast.transforms.encoders.text.bert import Bert
from deepfeast.transforms.encoders.text.folder import TextSpec

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Network = Callable[[Sequence[list[int]]], list[torch.Tensor]]

# What the fast form must agree on with float32 before it is used.
SAMPLE = (
    "Red cotton shirt, size M",
    "hat",
    (
        "A quiet flat near the river with two bedrooms, a small garden and a kitchen that was "
        "renovated in 2021. The station is five minutes on foot; please take off your shoes."
    ),
    "Kaffeemaschine defekt?! Ruf 030-1234567 an ...",
    "42 x 17 cm; 3.5 kg; #A-113",
    "今日は天気がいい",
)


class TextNetwork:
    """A network with its pooling, in the form that suits precision and machine.

    Attributes
    ----------
    engine : str
        What was chosen, e.g. ``"bert, bfloat16"``.
    """

    def __init__(
        self,
        spec: TextSpec,
        precision: str,
        device: str | None,
        sample: list[list[int]],
        trust: bool = False,
    ):
        import torch

        self.spec = spec
        self.trust = trust
        self.dense = [load_dense(folder) for folder in spec.dense]
        self.device = find_device(device)
        self._open(torch.float32)
        dtype = fast_dtype(self.device) if precision == "fast" else torch.float32
        if dtype != torch.float32:
            exact = self(sample)
            self._open(dtype)
            if not agrees(exact, self(sample)):
                self._open(torch.float32)

    def __call__(self, batch: Sequence[list[int]]) -> NDArray[np.float32]:
        """Encode texts given as token ids: (n, dim)."""
        import torch

        order = sorted(range(len(batch)), key=lambda place: -len(batch[place]))
        with torch.inference_mode():
            pooled = torch.cat(self._pooled([batch[place] for place in order]))
            vectors = finish(pooled, self.spec, self.dense).cpu().numpy()
        found = np.empty_like(vectors)
        found[order] = vectors
        return found

    def _open(self, dtype: torch.dtype) -> None:
        folder = self.spec.transformer
        if self.device == "cpu" and Bert.suits(folder):
            self._hidden: Any = Bert(folder, dtype)
            name = "bert"
        else:
            self._hidden = Transformer(folder, dtype, self.device, self.trust)
            name = f"transformers, {self.device}"
        self.engine = f"{name}, {str(dtype).removeprefix('torch.')}"

    def _pooled(self, batch: list[list[int]]) -> list[torch.Tensor]:
        import torch

        found = self._hidden(batch)
        if isinstance(found, tuple):
            return [pool(found[0], found[1], self.spec.poolings)]
        ones = [torch.ones(hidden.shape[:2], dtype=torch.long) for hidden in found]
        return [pool(h, mask, self.spec.poolings) for h, mask in zip(found, ones, strict=True)]


class Transformer:
    """Any `transformers` text model, in padded batches."""

    def __init__(self, folder: Path, dtype: torch.dtype, device: str, trust: bool):
        model = open_transformer(folder, trust, dtype=dtype)
        self.model = getattr(model, "text_model", model).eval().to(device)
        self.device = device

    def __call__(self, batch: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return token vectors (n, longest, hidden) and their mask."""
        ids, mask = padded(batch)
        if self.device != "cpu":
            ids = ids.pin_memory().to(self.device, non_blocking=True)
            mask = mask.pin_memory().to(self.device, non_blocking=True)
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state, mask


def padded(batch: Sequence[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack token ids to (n, longest), with a mask of 1 where there is a token."""
    import torch

    ids = torch.zeros(len(batch), max(map(len, batch)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return ids, mask


def pool(hidden: torch.Tensor, mask: torch.Tensor, poolings: tuple[str, ...]) -> torch.Tensor:
    """Turn token vectors (n, length, hidden) into text vectors (n, hidden * poolings)."""
    import torch

    return torch.cat([_POOL[name](hidden.float(), mask) for name in poolings], dim=1)


def finish(pooled: torch.Tensor, spec: TextSpec, dense: list[Any]) -> torch.Tensor:
    """Apply the layers on top and the normalisation."""
    import torch

    for layer in dense:
        pooled = layer.to(pooled.device)(pooled)
    return torch.nn.functional.normalize(pooled, dim=1) if spec.normalize else pooled


def _mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def _mean_sqrt(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).sqrt()


def _weighted(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = (mask * mask.cumsum(1)).unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def _max(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return hidden.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(1)


def _last(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return hidden[range(len(hidden)), mask.sum(1) - 1]


_POOL = {
    "mean": _mean,
    "cls": lambda hidden, mask: hidden[:, 0],
    "max": _max,
    "last": _last,
    "mean_sqrt_len": _mean_sqrt,
    "weightedmean": _weighted,
}


def load_dense(folder: Path) -> Any:
    """Load one linear layer of a sentence-transformers folder, with its activation."""
    import torch

    config = read_json(folder / "config.json")
    layer = torch.nn.Linear(config["in_features"], config["out_features"], config.get("bias", True))
    weights = read_weights(folder)
    layer.load_state_dict({name.removeprefix("linear."): value for name, value in weights.items()})
    activation = config.get("activation_function", "torch.nn.modules.linear.Identity")
    return torch.nn.Sequential(layer, getattr(torch.nn, activation.rsplit(".", 1)[-1])()).eval()
