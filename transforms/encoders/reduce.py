"""What follows an encoder: scaling, shortening, PCA; fitted once, then frozen.

Steps are joined by ``|`` and applied in order, e.g. ``"sqrt|l2|pca:64,whiten"``:

=================  ===========================================================
``l2``             each vector to length 1
``sqrt``           signed square root of each number
``truncate:N``     the first N numbers (networks trained the Matryoshka way)
``random:N``       N fixed random projections; distances are nearly kept
``pca:N``          the N directions of most variance, fitted to data
``pca:N,whiten``   the same, each scaled to variance 1
=================  ===========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from deepfeast.transforms.errors import EncoderError, SpecError, did_you_mean
from deepfeast.transforms.int8 import INT8, round_to_int8

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

RANDOM_SEED = 20_17


class Step:
    """One step: vectors (n, dim) float32 in, vectors (n, `dim_after`) float32 out."""

    fitted: bool = False

    def dim_after(self, dim: int) -> int:
        """Length of a vector after the step; raise `SpecError` where it does not fit."""
        return dim

    def apply(self, vectors: Vectors) -> Vectors:
        """Return the vectors after the step; the ones given are left alone."""
        raise NotImplementedError

    def fit(self, vectors: Vectors) -> None:
        """Fit to finite vectors (n, dim)."""

    def state(self) -> dict[str, NDArray]:
        """Return what was fitted; empty before."""
        return {}

    def restore(self, state: dict[str, NDArray]) -> None:
        """Take back what `state` returned."""


class L2(Step):
    """Each vector to length 1; a zero vector stays zero."""

    def apply(self, vectors: Vectors) -> Vectors:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


class SignedSqrt(Step):
    """The signed square root of each number: tames a few large activations."""

    def apply(self, vectors: Vectors) -> Vectors:
        return np.sign(vectors) * np.sqrt(np.abs(vectors))


class Truncate(Step):
    """The first ``n`` numbers."""

    def __init__(self, n: int):
        self.n = n

    def dim_after(self, dim: int) -> int:
        return _at_most(self.n, dim, "truncate")

    def apply(self, vectors: Vectors) -> Vectors:
        return vectors[:, : self.n]


class RandomProjection(Step):
    """``n`` Gaussian projections from a fixed seed, scaled so that lengths are nearly kept."""

    def __init__(self, n: int):
        self.n = n

    def dim_after(self, dim: int) -> int:
        return self.n

    def apply(self, vectors: Vectors) -> Vectors:
        # The legacy generator: its stream is promised never to change.
        gaussian = np.random.RandomState(RANDOM_SEED).standard_normal((vectors.shape[1], self.n))
        return vectors @ (gaussian / np.sqrt(self.n)).astype(np.float32)


class Int8(Step):
    """Each number to one of 255 steps, which int8 and the scale of its block keep exactly."""

    def apply(self, vectors: Vectors) -> Vectors:
        return round_to_int8(vectors)


class PCA(Step):
    """The ``n`` directions of most variance; signs are fixed, so that a refit gives the same."""

    fitted = True

    def __init__(self, n: int, whiten: bool = False):
        self.n = n
        self.whiten = whiten
        self._state: dict[str, NDArray] = {}

    def dim_after(self, dim: int) -> int:
        return _at_most(self.n, dim, "pca")

    def fit(self, vectors: Vectors) -> None:
        if len(vectors) <= self.n:
            raise EncoderError(
                f"pca:{self.n} cannot be fitted to {len(vectors)} vectors: it needs more than "
                f"{self.n}. Give more rows, or a smaller number."
            )
        mean = vectors.mean(axis=0, dtype=np.float64)
        centred = vectors.astype(np.float64) - mean
        variance, directions = np.linalg.eigh(centred.T @ centred / (len(vectors) - 1))
        variance, directions = variance[::-1][: self.n], directions[:, ::-1][:, : self.n]
        largest = directions[np.abs(directions).argmax(axis=0), range(self.n)]
        directions = directions * np.where(largest < 0, -1, 1)
        if self.whiten:
            # A direction without variance stays small instead of blowing up noise.
            directions = directions / np.sqrt(np.maximum(variance, variance[0] * 1e-7))
        self._state = {
            "mean": mean.astype(np.float32),
            "directions": np.ascontiguousarray(directions, dtype=np.float32),
        }

    def apply(self, vectors: Vectors) -> Vectors:
        return (vectors - self._state["mean"]) @ self._state["directions"]

    def state(self) -> dict[str, NDArray]:
        return self._state

    def restore(self, state: dict[str, NDArray]) -> None:
        self._state = state


def parse_steps(text: str | None, storage: str = "float32") -> list[Step]:
    """Read steps joined by ``|``, and add what vectors lose on their way into storage.

    Raises
    ------
    SpecError
        If a step is unknown, or its number is missing or not a whole one.

    Examples
    --------
    >>> [type(step).__name__ for step in parse_steps("sqrt|l2|pca:64,whiten")]
    ['SignedSqrt', 'L2', 'PCA']
    """
    steps = [_parse(step.strip()) for step in text.split("|")] if text else []
    return [*steps, Int8()] if storage == INT8 else steps


def dim_after(steps: Sequence[Step], dim: int) -> int:
    """Return the length of a vector after all steps.

    >>> dim_after(parse_steps("truncate:256|pca:64"), 384)
    64
    """
    for step in steps:
        dim = step.dim_after(dim)
    return dim


def _parse(text: str) -> Step:
    word, _, rest = text.partition(":")
    if word in _PLAIN and not rest:
        return _PLAIN[word]()
    number, *flags = rest.split(",")
    allowed = ["whiten"] if word == "pca" else []
    if word in _SIZED and number.isdecimal() and int(number) > 0 and set(flags) <= set(allowed):
        return _SIZED[word](int(number), *[True for _ in flags])
    known = [*_PLAIN, *(f"{word}:N" for word in _SIZED), "pca:N,whiten"]
    raise SpecError(
        f"no reduction {text!r}. Known: {', '.join(known)}; join several with |."
        f"{did_you_mean(word, [*_PLAIN, *_SIZED])}"
    )


def _at_most(n: int, dim: int, word: str) -> int:
    if n > dim:
        raise SpecError(f"{word}:{n} of vectors of length {dim}: N can be at most {dim}.")
    return n


_PLAIN: dict[str, Callable[[], Step]] = {"l2": L2, "sqrt": SignedSqrt}
_SIZED: dict[str, Callable[..., Step]] = {
    "pca": PCA,
    "truncate": Truncate,
    "random": RandomProjection,
}
