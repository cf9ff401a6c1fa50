"""Token ids to text vectors: the network, its pooling and what stands on top."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.encoders.files import read_json
from deepfeast.transforms.encoders.sentence import TextSpec

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


def load_text_network(spec: TextSpec, precision: str, threads: int | None) -> TextNetwork:
    """Load the network of a spec for this machine."""
    return TextNetwork(spec, threads)


class TextNetwork:
    """Any `transformers` text model, in float32, padded batches."""

    def __init__(self, spec: TextSpec, threads: int | None):
        import torch
        from transformers import AutoModel

        model = AutoModel.from_pretrained(
            spec.transformer, local_files_only=True, dtype=torch.float32
        )
        self.model = getattr(model, "text_model", model).eval()
        self.spec = spec
        self.threads = threads
        self.dense = [load_dense(folder) for folder in spec.dense]

    def __call__(self, batch: Sequence[list[int]]) -> NDArray[np.float32]:
        """Encode texts given as token ids: (n, dim)."""
        import torch

        with torch.inference_mode():
            ids, mask = padded(batch)
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            return finish(pool(hidden, mask, self.spec.poolings), self.spec, self.dense).numpy()


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
        pooled = layer(pooled)
    return torch.nn.functional.normalize(pooled, dim=1) if spec.normalize else pooled


def _mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def _mean_sqrt(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).sqrt()


def _weighted(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    import torch

    place = torch.arange(1, hidden.shape[1] + 1, dtype=hidden.dtype)[None, :, None]
    weights = mask.unsqueeze(-1).to(hidden.dtype) * place
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
    from safetensors.torch import load_file

    config = read_json(folder / "config.json")
    layer = torch.nn.Linear(config["in_features"], config["out_features"], config.get("bias", True))
    if (folder / "model.safetensors").is_file():
        weights = load_file(folder / "model.safetensors")
    else:
        weights = torch.load(folder / "pytorch_model.bin", weights_only=True, map_location="cpu")
    layer.load_state_dict({name.removeprefix("linear."): value for name, value in weights.items()})
    activation = config.get("activation_function", "torch.nn.modules.linear.Identity")
    return torch.nn.Sequential(layer, getattr(torch.nn, activation.rsplit(".", 1)[-1])()).eval()
