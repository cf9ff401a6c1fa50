"""Images through a `transformers` vision network, with the network's own preprocessing."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.cores import cores
from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.encoders.checkpoints import quietly
from deepfeast.transforms.encoders.files import digest, file_hash, read_json, weight_files
from deepfeast.transforms.encoders.image.graph import GraphEngine
from deepfeast.transforms.encoders.image.pixels import Preprocessing, read_preprocessing
from deepfeast.transforms.encoders.image.runtime import (
    OUTPUTS,
    Engine,
    choose_output,
    open_model,
    pixels_to_vectors,
)
from deepfeast.transforms.encoders.machine import find_device
from deepfeast.transforms.encoders.options import check_options
from deepfeast.transforms.errors import SpecError, did_you_mean
from deepfeast.transforms.images import decode

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PixelEncoder(Encoder):
    """What all image encoders share: decoding in threads, one batch a core.

    Subclasses set `_preprocess` in `load`, and call `_open`.
    """

    modality = "image"
    batch_cost = 4  # a larger batch leaves the cache of a core, and is slower
    window = 128
    _loaded = ("_engine", "_preprocess", "_shorter")
    _engine: Any
    _preprocess: Any
    _shorter: int | None

    def __init__(self, precision: str, threads: int | None, device: str | None):
        self.precision = precision
        self.threads = threads
        self.device = device

    @property
    def info(self) -> dict[str, str]:
        return {"engine": self._engine.name} if "_engine" in self.__dict__ else {}

    def prepare(self, value: Any) -> NDArray[Any]:
        return self._preprocess(decode(value, shorter=self._shorter))

    def encode_batch(self, prepared: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        return self._engine(prepared)

    def _open(self, module: Any) -> None:
        """Put a module from pixels to vectors to use, in the form that suits this machine."""
        sample = np.stack([self._preprocess(image) for image in sample_images()])
        self._use(Engine(module, sample, self.precision, find_device(self.device)))

    def _use(self, engine: Engine | GraphEngine) -> None:
        """Put an engine to use."""
        self._engine = engine
        reduced = self.precision == "fast" and isinstance(self._preprocess, Preprocessing)
        self._shorter = self._preprocess.shorter if reduced else None
        on_gpu = engine.device != "cpu"
        self.prepare_threads = self.threads or cores()
        self.workers = 0 if on_gpu else self.prepare_threads
        self.batch_cost = 128 if on_gpu else PixelEncoder.batch_cost
        if engine.one_at_a_time:
            self.batch_cost = 1
        self.window = 512 if on_gpu else PixelEncoder.window


class ImageEncoder(PixelEncoder):
    """Encode images by a vision network from a folder.

    Parameters
    ----------
    folder : Path
        With ``config.json``, ``preprocessor_config.json`` and weights.
    options : dict of str to str
        ``output``: ``pooled`` (the network's own pooled vector), ``cls`` (its class token),
        ``mean`` (the mean of its patches or places), or ``shared`` (the space that a text tower
        shares; the default where there is one). ``device``, ``trust_remote_code=1``.
    precision : {"fast", "exact"}
    threads : int, optional
        By default one for each core.
    """

    def __init__(
        self,
        folder: Path,
        options: dict[str, str] | None = None,
        precision: str = "fast",
        threads: int | None = None,
    ):
        options = options or {}
        check_options(str(folder), options, ("output", "device", "trust_remote_code"))
        super().__init__(precision, threads, options.get("device"))
        self.folder = folder
        config = read_json(folder / "config.json")
        self.output = options.get("output", _default_output(config))
        self.trust = options.get("trust_remote_code") == "1"
        if self.output not in OUTPUTS:
            raise SpecError(
                f"output={self.output!r} of {folder}: expected one of {', '.join(OUTPUTS)}."
                f"{did_you_mean(self.output, OUTPUTS)}"
            )

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
        from transformers import AutoImageProcessor

        with quietly():
            processor = AutoImageProcessor.from_pretrained(self.folder, local_files_only=True)
        scale = read_preprocessing(processor)
        self._preprocess = scale or functools.partial(_processed, processor)
        model = open_model(self.folder, self.trust, self.output)
        self._open(pixels_to_vectors(model, self.output, scale))


def _processed(processor: Any, image: Any) -> NDArray[np.float32]:
    return np.asarray(processor(image, return_tensors="np")["pixel_values"][0], np.float32)


def sample_images() -> list[Any]:
    """Make two images with shapes, colours and noise, to compare forms of a network on."""
    from PIL import Image

    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    smooth = Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
    rows, columns = np.mgrid[:240, :240]
    rings = np.sin(np.hypot(rows - 120, columns - 100) / 9)[..., None] * [90, 60, 120] + 128
    noisy = np.clip(rings + random.normal(0, 12, rings.shape), 0, 255).astype(np.uint8)
    return [smooth, Image.fromarray(noisy)]


def _default_output(config: dict[str, Any]) -> str:
    """Choose the output that was trained: the pooler of a plain ViT often was not."""
    if "vision_config" in config and "text_config" in config:
        return "shared"
    classes = ("vit", "deit", "beit", "dinov2", "dinov2_with_registers", "dinov3_vit", "vit_mae")
    return "cls" if config.get("model_type") in classes else "pooled"


@functools.lru_cache(maxsize=64)
def _dim_of(folder: Path, config_hash: str, output: str) -> int:
    """Run the network's shapes, without weights, to learn its dim."""
    import torch
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if output != "shared":
        config = getattr(config, "vision_config", config)
    seen = getattr(config, "vision_config", config)
    size = getattr(seen, "image_size", 224) or 224
    height, width = size if isinstance(size, list | tuple) else (size, size)
    with torch.device("meta"), torch.inference_mode():
        model = AutoModel.from_config(config).eval()
        pixels = torch.zeros(1, getattr(seen, "num_channels", 3), height, width)
        return int(choose_output(model, pixels, output).flatten(1).shape[1])
