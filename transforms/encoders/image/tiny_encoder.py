"""``image-tiny``: the network that comes with the package, and its untrained twin."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from deepfeast.transforms.encoders.files import digest, file_hash
from deepfeast.transforms.encoders.image.encoder import PixelEncoder
from deepfeast.transforms.encoders.image.graph import GraphEngine
from deepfeast.transforms.encoders.image.pixels import Preprocessing
from deepfeast.transforms.encoders.image.runtime import pixels_to_vectors
from deepfeast.transforms.encoders.machine import find_device, torch_or_none
from deepfeast.transforms.encoders.options import check_options
from deepfeast.transforms.errors import EncoderNotFound

if TYPE_CHECKING:
    from pathlib import Path

UNTRAINED_SEED = 0


class TinyImageEncoder(PixelEncoder):
    """Encode images by the bundled small network, or by its untrained twin.

    The untrained one has the same shape and random weights of a fixed seed: it shows how much
    of a result comes from what the network has learned. It is of no other use.
    """

    def __init__(
        self,
        trained: bool,
        options: dict[str, str] | None = None,
        precision: str = "fast",
        threads: int | None = None,
    ):
        super().__init__(precision, threads, (options or {}).get("device"))
        check_options("image-tiny", options or {}, ("device",))
        self.trained = trained
        if trained:
            _weights()

    @property
    def dim(self) -> int:
        from deepfeast.transforms.encoders.image.tiny import DIM

        return DIM

    @functools.cached_property
    def fingerprint(self) -> str:
        weights = file_hash(_weights()) if self.trained else f"seed {UNTRAINED_SEED}"
        shape = [str(part) for part in self._input()]
        return digest(kind="tiny", weights=weights, input=shape, precision=self.precision)

    def load(self) -> None:
        from deepfeast.transforms.encoders.image.tiny import (
            graph_path,
            trained_network,
            untrained_network,
        )

        self._preprocess = self._input_step()
        if torch_or_none() is None:
            find_device(self.device)  # refuses what is not there
            if not self.trained:
                raise EncoderNotFound(
                    "the untrained twin of image-tiny needs torch, which is not installed: "
                    "pip install torch."
                )
            self._use(GraphEngine(graph_path(), _weights()))
            return
        network = trained_network() if self.trained else untrained_network(UNTRAINED_SEED)
        module = pixels_to_vectors(network, "called", self._preprocess)
        self._open(module)

    def _input(self) -> tuple:
        from deepfeast.transforms.encoders.image.tiny import MEAN, RESIZE, SIZE, STD

        return RESIZE, SIZE, MEAN, STD

    def _input_step(self) -> Preprocessing:
        resize, size, mean, std = self._input()
        scaled = [tuple(255 * value for value in values) for values in (mean, std)]
        return Preprocessing(resize, (size, size), 2, *scaled)


def _weights() -> Path:
    from deepfeast.transforms.encoders.image.tiny import weights_path

    try:
        return weights_path()
    except FileNotFoundError as error:
        raise EncoderNotFound(
            f"the encoder 'image-tiny' has no weights here: {error}. Install deepfeast "
            f"anew, or take any vision network: hf:/path/to/folder."
        ) from None
