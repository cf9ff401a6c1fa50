"""Real encoders small enough to check by eye, for deepfeast's tests and for yours."""

from __future__ import annotations

import hashlib
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
