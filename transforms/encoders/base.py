"""The contract of an encoder, and what every encoder gets for free.

An encoder turns a batch of texts or images into float32 vectors. A new one says how to load
its network and how to encode one small batch; order, batching, likeness of lengths, each
distinct value once, rejects and pickling come from here.
"""

from __future__ import annotations

import abc
import functools
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from deepfeast.transforms.cells.content import Reader, TextReader
from deepfeast.transforms.encoders.machine import core_pool
from deepfeast.transforms.errors import DeepfeastError, EncoderError, Reject

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
    counts : dict of str to int
        What is worth knowing of the distinct values, e.g. ``{"truncated": 12}``.
    """

    vectors: NDArray[np.float32]
    rejects: dict[int, Reject] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class Encoder(abc.ABC):
    """Turns a batch of texts, images or other contents into float32 vectors of shape (n, dim).

    Subclasses implement `dim`, `fingerprint`, `load` and `encode_batch`, and may override
    `prepare` (one value into what a batch is made of) and `cost` (what a value costs; values
    of like cost are encoded together).

    An encoder pickles without its network: what `load` sets must be named in `_loaded`.

    Attributes
    ----------
    modality : str
        What a value is: ``"text"`` (a str), ``"image"`` (the bytes of an image file), or the name
        of another kind, which `reader` reads.
    reader : type of Reader, optional
        What turns a cell into a value; by default that of texts or images.
    batch_cost : int
        Largest cost of one batch: the number of values times the largest `cost` among them.
    window : int
        How many distinct values are held prepared at a time: memory is flat beyond it.
    prepare_threads : int
        With more than zero, values are prepared in so many threads, a window ahead of the
        network.
    workers : int
        How many batches are encoded side by side, each on a core of its own; with zero, one
        after the other in the calling thread. `encode_batch` must then be safe in threads.
    has_state : bool
        Whether numbers are fitted to data (TF-IDF, PCA) before the encoder can encode.
    """

    modality: str
    reader: ClassVar[type[Reader] | None] = None
    batch_cost: int = 32
    window: int = 4096
    prepare_threads: int = 0
    workers: int = 0
    has_state: bool = False
    _loaded: ClassVar[tuple[str, ...]] = ()
    _cores: ThreadPoolExecutor | None = None

    @property
    def reads(self) -> type[Reader]:
        """The class that turns a cell into a value: `reader`, or that of the modality.

        Raises
        ------
        EncoderError
            If it is neither text nor image, and no reader is named.
        """
        from deepfeast.transforms.cells.reader import ImageReader

        known = {"text": TextReader, "image": ImageReader}
        found = self.reader or known.get(self.modality)
        if found is None:
            raise EncoderError(
                f"{type(self).__name__} encodes {self.modality!r}, for which there is no reader. "
                f"Known are text and image; name your own: reader = a subclass of "
                f"deepfeast.transforms.cells.reader.FileReader."
            )
        return found

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """Length of a vector; known without loading the weights, and before fitting."""

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """A sha256 over all that decides the numbers, as 64 hexadecimal digits.

        Raises
        ------
        EncoderError
            If the encoder `needs_fit`: its numbers are not decided yet.
        """

    @property
    def spec_fingerprint(self) -> str:
        """The fingerprint of what is declared, known even before fitting."""
        return self.fingerprint

    @property
    def needs_fit(self) -> bool:
        """Whether `fit` or `load_state` must come before `encode`."""
        return False

    def fit(self, values: Sequence[Any]) -> None:
        """Fit what is fitted, once, on values none of them null; bad ones are left out."""
        raise EncoderError(f"{type(self).__name__} is not fitted to data: leave fit out.")

    def save_state(self, path: str | Path) -> None:
        """Write what was fitted as one safetensors file."""
        raise EncoderError(f"{type(self).__name__} is not fitted to data: it has no state to save.")

    def load_state(self, path: str | Path) -> None:
        """Read what `save_state` wrote; refuses the state of another declaration."""
        raise EncoderError(f"{type(self).__name__} is not fitted to data: it has no state to load.")

    @property
    def info(self) -> dict[str, str]:
        """What a run records beside the fingerprint, e.g. the engine that was chosen."""
        return {}

    @abc.abstractmethod
    def load(self) -> None:
        """Load the network; called once before the first batch, and again after unpickling."""

    @abc.abstractmethod
    def encode_batch(self, prepared: Sequence[Any]) -> NDArray[np.float32]:
        """Encode one batch of prepared values of like cost: (n, dim) float32."""

    def is_missing(self, value: Any) -> bool:
        """Whether a cell holds nothing: null, no bytes, a blank text, an empty list."""
        if value is None or (isinstance(value, float) and value != value):
            return True
        if isinstance(value, str):
            return not value.strip()
        return isinstance(value, bytes | list | tuple) and len(value) == 0

    def prepare(self, value: Any) -> Any:
        """Turn one value into what `encode_batch` reads; raise `Reject` where that fails."""
        return value

    def prepare_many(self, values: Sequence[Any]) -> list[Any]:
        """Prepare several values; a `Reject` stands in the place of each bad one."""
        return [self._prepared_or_reject(value) for value in values]

    def cost(self, prepared: Any) -> int:
        """Cost of one prepared value, e.g. its number of tokens."""
        return 1

    def tally(self, prepared: Any) -> dict[str, int]:
        """Count what is worth knowing of one prepared value, e.g. ``{"truncated": 1}``."""
        return {}

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
            position, reject = min(encoded.rejects.items(), key=lambda item: item[0])
            raise EncoderError(f"value {position} cannot be encoded: {reject}")
        return encoded.vectors

    def encode_safely(self, values: Sequence[Any]) -> Encoded:
        """Encode values, each distinct one once; a bad one never fails its neighbours."""
        self._ensure_loaded()
        places = distinct(values)
        once = Encoded(np.full((len(places), self.dim), np.nan, dtype=np.float32))
        counts: Counter[str] = Counter()
        firsts = [values[where[0]] for where in places]
        for start, prepared in self._windows(firsts):
            good: dict[int, Any] = {}
            for position, value in enumerate(prepared, start):
                if isinstance(value, Reject):
                    once.rejects[position] = value
                else:
                    good[position] = value
                    if told := self.tally(value):
                        counts.update(told)
            self._run(self._batches(good), good, once)
        return _spread(once, places, len(values), dict(counts))

    def _windows(self, values: list[Any]) -> Iterator[tuple[int, list[Any]]]:
        """Yield (start, prepared values) window by window, the next one already under way."""
        starts = range(0, len(values), self.window)
        if not self.prepare_threads:
            for start in starts:
                yield start, self.prepare_many(values[start : start + self.window])
            return
        with ThreadPoolExecutor(self.prepare_threads) as pool:
            ahead: deque[tuple[int, Iterator[Any]]] = deque()
            for start in starts:
                window = values[start : start + self.window]
                ahead.append((start, pool.map(self._prepared_or_reject, window)))
                if len(ahead) > 1:
                    first, results = ahead.popleft()
                    yield first, list(results)
            for first, results in ahead:
                yield first, list(results)

    def _prepared_or_reject(self, value: Any) -> Any:
        try:
            return self.prepare(value)
        except Reject as reject:
            return reject
        except (MemoryError, DeepfeastError):
            raise
        except Exception as error:  # as in a batch: one value's trouble is its own
            return Reject("encoder_failed", f"{type(error).__name__}: {error}")

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

    def _run(self, batches: list[list[int]], prepared: dict[int, Any], encoded: Encoded) -> None:
        encode = functools.partial(self._encode_or_bisect, prepared=prepared, encoded=encoded)
        # Batches are dearest first, so that no core is left with a long one at the end.
        for _ in self._cores.map(encode, batches) if self._cores else map(encode, batches):
            pass

    def _encode_or_bisect(
        self, positions: list[int], prepared: dict[int, Any], encoded: Encoded
    ) -> None:
        """Encode one batch; where it fails, halve it until the guilty values stand alone."""
        try:
            vectors = np.asarray(self.encode_batch([prepared[p] for p in positions]), np.float32)
        except (MemoryError, DeepfeastError):
            raise
        except Exception as error:
            if len(positions) == 1:
                encoded.rejects[positions[0]] = Reject(
                    "encoder_failed", f"{type(error).__name__}: {error}"
                )
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
        for row in np.flatnonzero(~np.isfinite(vectors).all(axis=1)):
            encoded.vectors[positions[row]] = np.nan
            encoded.rejects[positions[row]] = Reject("not_finite", "the vector has NaN or infinity")

    def _ensure_loaded(self) -> None:
        if self.needs_fit:
            raise EncoderError(
                f"{type(self).__name__} is not fitted yet. Call fit(values) once on values of the "
                f"training period, or load_state(path) of an earlier fit; "
                f"`deepfeast embed` does so by itself."
            )
        if not self.__dict__.get("_is_loaded"):
            self.load()
            self._cores = core_pool(self.workers) if self.workers else None
            self.__dict__["_is_loaded"] = True

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        for name in (*self._loaded, "_cores", "_is_loaded"):
            state.pop(name, None)
        return state


def distinct(values: Sequence[Any]) -> list[list[int]]:
    """Group the positions of equal values; what cannot be hashed stands alone.

    >>> distinct(["hat", "red", "hat"])
    [[0, 2], [1]]
    """
    places: dict[Any, list[int]] = {}
    for position, value in enumerate(values):
        try:
            places.setdefault(value, []).append(position)
        except TypeError:  # a numpy array or an open image
            places[_Alone(position)] = [position]
    return list(places.values())


@dataclass(frozen=True)
class _Alone:
    position: int


def _spread(once: Encoded, places: list[list[int]], n: int, counts: dict[str, int]) -> Encoded:
    """Give each place its value's vector, or its value's reject."""
    if len(places) == n:  # all distinct, so in order already
        return Encoded(once.vectors, once.rejects, counts)
    which = np.empty(n, dtype=np.int64)
    for index, positions in enumerate(places):
        which[positions] = index
    rejects = {p: reject for index, reject in once.rejects.items() for p in places[index]}
    return Encoded(once.vectors[which], rejects, counts)
