"""An encoder and what follows it: several photos to one vector, and reductions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.encoders.base import Encoded, Encoder
from deepfeast.transforms.encoders.files import digest
from deepfeast.transforms.encoders.fitted import FittedEncoder, under
from deepfeast.transforms.encoders.reduce import dim_after, parse_steps
from deepfeast.transforms.errors import EncoderError, Reject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.transforms.cells.content import Reader


class ReducedEncoder(FittedEncoder):
    """An encoder followed by the steps of `deepfeast.transforms.encoders.reduce`.

    With ``storage="int8"`` its vectors are such as int8 keeps.

    >>> from deepfeast.transforms.testing import WordLengths
    >>> ReducedEncoder(WordLengths(3), "truncate:2").encode(["a red shirt"])
    array([[1., 3.]], dtype=float32)
    """

    def __init__(self, encoder: Encoder, reduce: str | None, storage: str = "float32"):
        self.encoder = encoder
        self.modality = encoder.modality
        self.reduce = reduce
        self.storage = storage
        self.steps = parse_steps(reduce, storage)
        self._dim: int | None = None
        if encoder.has_state and not isinstance(encoder, FittedEncoder):
            raise EncoderError(f"{type(encoder).__name__} has a state but is no FittedEncoder.")
        self.has_state = encoder.has_state or any(step.fitted for step in self.steps)

    @property
    def reads(self) -> type[Reader]:
        return self.encoder.reads

    @property
    def dim(self) -> int:
        if self._dim is None:
            self._dim = dim_after(self.steps, self.encoder.dim)
        return self._dim

    @property
    def spec_fingerprint(self) -> str:
        parts = {"encoder": self.encoder.spec_fingerprint, "reduce": self.reduce or ""}
        if self.storage != "float32":
            parts["storage"] = self.storage
        return digest(**parts)

    @property
    def info(self) -> dict[str, str]:
        return self.encoder.info

    def fit(self, values: Sequence[Any]) -> None:
        if self.encoder.needs_fit:
            self.encoder.fit(values)
        encoded = self.encoder.encode_safely(values)
        vectors = encoded.vectors[np.isfinite(encoded.vectors).all(axis=1)]
        for step in self.steps:
            step.fit(vectors)
            vectors = step.apply(vectors)

    def state(self) -> dict[str, NDArray]:
        parts: dict[str, dict[str, NDArray]] = {
            f"step{number}.": step.state() for number, step in enumerate(self.steps) if step.fitted
        }
        if isinstance(self.encoder, FittedEncoder) and self.encoder.has_state:
            parts["encoder."] = self.encoder.state()
        if not all(parts.values()):
            return {}
        return {prefix + name: a for prefix, part in parts.items() for name, a in part.items()}

    def restore(self, state: dict[str, NDArray]) -> None:
        if isinstance(self.encoder, FittedEncoder) and self.encoder.has_state:
            self.encoder.restore(under(state, "encoder."))
        for number, step in enumerate(self.steps):
            step.restore(under(state, f"step{number}."))

    def is_missing(self, value: Any) -> bool:
        return self.encoder.is_missing(value)

    def load(self) -> None:
        self.encoder._ensure_loaded()

    def encode_batch(self, prepared: Sequence[Any]) -> NDArray[np.float32]:
        return self._reduced(self.encoder.encode_batch(prepared))

    def encode_safely(self, values: Sequence[Any]) -> Encoded:
        self._ensure_loaded()
        encoded = self.encoder.encode_safely(values)
        return Encoded(self._reduced(encoded.vectors), encoded.rejects, encoded.counts)

    def _reduced(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        for step in self.steps:
            vectors = step.apply(vectors)
        return np.ascontiguousarray(vectors, dtype=np.float32)


class PooledEncoder(Encoder):
    """An encoder for cells that hold one content or several, such as photos.

    A cell is the bytes of one photo, or a tuple or list of them; the vectors of several photos
    become one by mean or maximum. A photo that cannot be read is left out and counted
    (``photos_left_out``); where none can be read, the cell is a reject.
    """

    def __init__(self, encoder: Encoder, pool: str = "mean"):
        self.encoder = encoder
        self.modality = encoder.modality
        self.pool = pool

    @property
    def reads(self) -> type[Reader]:
        return self.encoder.reads

    @property
    def dim(self) -> int:
        return self.encoder.dim

    @property
    def fingerprint(self) -> str:
        return digest(encoder=self.encoder.fingerprint, pool=self.pool)

    @property
    def info(self) -> dict[str, str]:
        return self.encoder.info

    def load(self) -> None:
        self.encoder._ensure_loaded()

    def encode_batch(self, prepared: Sequence[Any]) -> NDArray[np.float32]:
        return self.encoder.encode_batch(prepared)

    def encode_safely(self, values: Sequence[Any]) -> Encoded:
        self._ensure_loaded()
        cells = [value if isinstance(value, list | tuple) else (value,) for value in values]
        inner = self.encoder.encode_safely([photo for cell in cells for photo in cell])
        encoded = Encoded(np.full((len(cells), self.dim), np.nan, dtype=np.float32))
        encoded.counts = dict(inner.counts)
        counts: Counter[str] = Counter()
        start = 0
        for row, cell in enumerate(cells):
            places = range(start, start + len(cell))
            start += len(cell)
            good = [place for place in places if place not in inner.rejects]
            if good:
                vectors = inner.vectors[good]
                encoded.vectors[row] = vectors.mean(0) if self.pool == "mean" else vectors.max(0)
                counts["photos_left_out"] += len(cell) - len(good)
            else:
                empty = Reject("no_photos", "the cell holds an empty list; treat it as missing")
                encoded.rejects[row] = inner.rejects[places[0]] if cell else empty
        encoded.counts.update(counts)
        return encoded
