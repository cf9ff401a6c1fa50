"""Real encoders small enough to check by eye, for deepfeast's tests and for yours."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.errors import Reject


class WordLengths(Encoder):
    """Encode a text as the lengths of its first words; refuse the word ``"poison"``.

    >>> WordLengths(2).encode(["red shirt", "hat"])
    array([[3., 5.],
           [3., 0.]], dtype=float32)
    """

    modality = "text"

    def __init__(self, dim: int = 4):
        self._dim = dim
        self.encoded = 0

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"WordLengths({self._dim})".encode()).hexdigest()

    def load(self) -> None:
        """Nothing to load."""

    def prepare(self, value: str) -> list[int]:
        if "poison" in value:
            raise Reject("poisoned", f"the text {value[:40]!r} contains 'poison'")
        lengths = [len(word) for word in value.split()][: self._dim]
        return lengths + [0] * (self._dim - len(lengths))

    def encode_batch(self, prepared: Sequence[list[int]]) -> NDArray[np.float32]:
        self.encoded += len(prepared)
        return np.asarray(prepared, dtype=np.float32)


class TextSums(Encoder):
    """Encode a text as numbers drawn from its checksum, thousands of texts at a time.

    So fast that what a job takes is the job itself: for benchmarks and for tests of scale.

    >>> TextSums(2).encode(["red", "hat", "red"]).round(2)
    array([[-0.02,  0.98],
           [-0.87,  0.76],
           [-0.02,  0.98]], dtype=float32)
    """

    modality = "text"
    batch_cost = 4096

    def __init__(self, dim: int = 64):
        self._dim = dim
        # Odd, so that different checksums stay different in every number.
        draw = np.random.default_rng(0)
        self._factors = draw.integers(0, 2**31, dim, dtype=np.uint32) * np.uint32(2) + np.uint32(1)

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"TextSums({self._dim})".encode()).hexdigest()

    def load(self) -> None:
        """Nothing to load."""

    def prepare_many(self, values: Sequence[str]) -> list[int]:
        return [zlib.crc32(value.encode()) for value in values]

    def encode_batch(self, prepared: Sequence[int]) -> NDArray[np.float32]:
        sums = np.asarray(prepared, np.uint32)[:, None] * self._factors
        return (sums.astype(np.int32) / np.float32(2**31)).astype(np.float32)


def untrained_photos() -> Encoder:
    """Make the twin of ``image-tiny`` that has learned nothing: random weights of a fixed seed.

    It shows how much of a result comes from what the network has learned, and needs no weights.

    >>> from deepfeast.transforms.encoders import get_encoder
    >>> untrained_photos().dim == get_encoder("image-tiny").dim
    True
    """
    from deepfeast.transforms.encoders.image.tiny_encoder import TinyImageEncoder

    return TinyImageEncoder(trained=False)
