"""The contract of an encoder, and what every encoder gets for free.

An encoder turns a batch of texts or images into float32 vectors. A new one says how to load
its network and how to encode one small batch; order, batching, likeness of lengths, rejects
and pickling come from here.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from deepfeast.transforms.errors import EncoderError, Reject

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class Encoded:
    """What `Encoder.encode_safely` returns.

    Attributes
    ----------
    vectors : ndarray of shape (n_values, dim), float32
        NaN in the rows that were rejected.
    rejects : dict of int to Reject
        Position of each value that could not be encoded, and why.
    """

    vectors: NDArray[np.float32]
    rejects: dict[int, Reject] = field(default_factory=dict)


class Encoder(abc.ABC):
    """Turns a batch of texts or images into float32 vectors of shape (n, dim).

    Subclasses implement `dim`, `fingerprint`, `load` and `encode_batch`, and may override
    `prepare` (one value into what a batch is made of) and `cost` (what a value costs; values
    of like cost are encoded together).

    An encoder pickles without its network: what `load` sets must be named in `_loaded`.

    Attributes
    ----------
    modality : {"text", "image"}
        What a value is: a str, or the bytes of an image file.
    batch_cost : int
        Largest cost of one batch: the number of values times the largest `cost` among them.
    """

    modality: ClassVar[str]
    batch_cost: int = 32
    _loaded: ClassVar[tuple[str, ...]] = ()

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """Length of a vector; known without loading the weights."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """A sha256 over all that decides the numbers, as 64 hexadecimal digits."""

    @abc.abstractmethod
    def load(self) -> None:
        """Load the network; called once before the first batch, and again after unpickling."""

    @abc.abstractmethod
    def encode_batch(self, prepared: Sequence[Any]) -> NDArray[np.float32]:
        """Encode one batch of prepared values of like cost: (n, dim) float32."""

    def prepare(self, value: Any) -> Any:
        """Turn one value into what `encode_batch` reads; raise `Reject` where that fails."""
        return value

    def cost(self, prepared: Any) -> int:
        """Cost of one prepared value, e.g. its number of tokens."""
        return 1

    def encode(self, values: Sequence[Any]) -> NDArray[np.float32]:
        """Encode values, none of them null, in their order.

        Parameters
        ----------
        values : sequence of str or bytes, of length n

        Returns
        -------
        ndarray of shape (n, dim), float32

        Raises
        ------
        EncoderError
            If a value cannot be encoded; it names the first such position. Use
            `encode_safely` to go on without it.
        """
        encoded = self.encode_safely(values)
        if encoded.rejects:
            position, reject = min(encoded.rejects.items())
            raise EncoderError(f"value {position} cannot be encoded: {reject}")
        return encoded.vectors

    def encode_safely(self, values: Sequence[Any]) -> Encoded:
        """Encode values; a bad one is set aside and never fails its neighbours."""
        self._ensure_loaded()
        encoded = Encoded(np.full((len(values), self.dim), np.nan, dtype=np.float32))
        prepared: dict[int, Any] = {}
        for position, value in enumerate(values):
            try:
                prepared[position] = self.prepare(value)
            except Reject as reject:
                encoded.rejects[position] = reject
        for positions in self._batches(prepared):
            self._encode_or_bisect(positions, prepared, encoded)
        return encoded

    def _batches(self, prepared: dict[int, Any]) -> list[list[int]]:
        """Group positions by like cost, dearest first, each group under the batch's budget."""
        costs = {position: max(1, self.cost(value)) for position, value in prepared.items()}
        batches: list[list[int]] = []
        for position in sorted(costs, key=lambda p: -costs[p]):
            dearest = costs[batches[-1][0]] if batches else 0
            if not batches or dearest * (len(batches[-1]) + 1) > self.batch_cost:
                batches.append([])
            batches[-1].append(position)
        return batches

    def _encode_or_bisect(
        self, positions: list[int], prepared: dict[int, Any], encoded: Encoded
    ) -> None:
        """Encode one batch; where it fails, halve it until the guilty values stand alone."""
        try:
            vectors = np.asarray(self.encode_batch([prepared[p] for p in positions]), np.float32)
        except (MemoryError, KeyboardInterrupt):
            raise
        except Exception as error:
            if len(positions) == 1:
                encoded.rejects[positions[0]] = Reject("encoder_failed", f"{error}")
                return
            middle = len(positions) // 2
            self._encode_or_bisect(positions[:middle], prepared, encoded)
            self._encode_or_bisect(positions[middle:], prepared, encoded)
            return
        if vectors.shape != (len(positions), self.dim):
            raise EncoderError(
                f"{type(self).__name__} gave an array of shape {vectors.shape} for "
                f"{len(positions)} values; expected {(len(positions), self.dim)}."
            )
        encoded.vectors[positions] = vectors
        for position, vector in zip(positions, vectors, strict=True):
            if not np.isfinite(vector).all():
                encoded.vectors[position] = np.nan
                encoded.rejects[position] = Reject("not_finite", "the vector has NaN or infinity")

    def _ensure_loaded(self) -> None:
        if not self.__dict__.get("_is_loaded"):
            self.load()
            self.__dict__["_is_loaded"] = True

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in (*self._loaded, "_is_loaded"):
            state.pop(name, None)
        return state
