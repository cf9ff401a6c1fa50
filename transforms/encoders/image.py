"""Images through a `transformers` vision network, with the network's own preprocessing."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.encoders.files import digest, file_hash, read_json, weight_files
from deepfeast.transforms.errors import SpecError, did_you_mean
from deepfeast.transforms.images import decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTPUTS = ("pooled", "cls", "mean")


class ImageEncoder(Encoder):
    """Encode images by a vision network from a folder.

    Parameters
    ----------
    folder : Path
        With ``config.json``, ``preprocessor_config.json`` and weights.
    options : dict of str to str
        ``output``: ``pooled`` (the network's own pooled vector), ``cls`` (its class token) or
        ``mean`` (the mean of its patches or places).
    precision : {"fast", "exact"}
    threads : int, optional
    """

    modality = "image"
    batch_cost = 32
    window = 128
    prepare_threads = 2
    _loaded = ("_model", "_processor")

    def __init__(
        self,
        folder: Path,
        options: dict[str, str] | None = None,
        precision: str = "fast",
        threads: int | None = None,
    ):
        self.folder = folder
        self.output = (options or {}).get("output", "pooled")
        if self.output not in OUTPUTS:
            raise SpecError(
                f"output={self.output!r} of {folder}: expected one of {', '.join(OUTPUTS)}."
                f"{did_you_mean(self.output, OUTPUTS)}"
            )
        self.precision = precision
        self.threads = threads

    @functools.cached_property
    def dim(self) -> int:
        return _dim_of(self.folder, file_hash(self.folder / "config.json"), self.output)

    @functools.cached_property
    def fingerprint(self) -> str:
        files = [*weight_files(self.folder), self.folder / "config.json"]
        files.append(self.folder / "preprocessor_config.json")
        hashes = [(path.name, file_hash(path)) for path in files]
        return digest(kind="image", files=hashes, output=self.output, precision=self.precision)

    def load(self) -> None:
        from transformers import AutoImageProcessor, AutoModel

        read_json(self.folder / "preprocessor_config.json")
        self._processor = AutoImageProcessor.from_pretrained(self.folder, local_files_only=True)
        model = AutoModel.from_pretrained(self.folder, local_files_only=True)
        self._model = getattr(model, "vision_model", model).eval()

    def prepare(self, value: Any) -> NDArray[np.float32]:
        return self._processor(decode(value), return_tensors="np")["pixel_values"][0]

    def encode_batch(self, prepared: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            found = self._model(pixel_values=torch.from_numpy(np.stack(prepared)))
            return choose_output(found, self.output).flatten(1).float().numpy()


def choose_output(found: Any, output: str) -> Any:
    """Take the stated output of a `transformers` vision model: (n, dim, ...)."""
    if output == "pooled":
        pooled = getattr(found, "pooler_output", None)
        if pooled is None:
            raise SpecError("this network has no pooled output: write ?output=cls or ?output=mean.")
        return pooled
    hidden = found.last_hidden_state
    if hidden.ndim == 4:
        if output == "cls":
            raise SpecError("a convolutional network has no class token: write ?output=pooled.")
        return hidden.mean((2, 3))
    return hidden[:, 0] if output == "cls" else hidden.mean(1)


@functools.lru_cache(maxsize=64)
def _dim_of(folder: Path, config_hash: str, output: str) -> int:
    """Run the network's shapes, without weights, to learn its dim."""
    import torch
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    config = getattr(config, "vision_config", config)
    size = getattr(config, "image_size", 224) or 224
    height, width = size if isinstance(size, list | tuple) else (size, size)
    with torch.device("meta"):
        model = AutoModel.from_config(config).eval()
        pixels = torch.zeros(1, getattr(config, "num_channels", 3), height, width)
        return int(choose_output(model(pixel_values=pixels), output).flatten(1).shape[1])
