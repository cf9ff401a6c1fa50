"""``text-tiny``: a table of vectors for word pieces, summed over a text; no network at all.

Distilled from all-MiniLM-L6-v2 (training/text_table.py). A text's vector is the weighted sum of its
pieces' vectors, scaled to length one, after the recipe of static sentence embeddings:

    Arora, Liang and Ma (2017), A Simple but Tough-to-Beat Baseline for Sentence Embeddings, ICLR.

The table holds whole numbers, and whole numbers add up to the same sum in any order; what follows
is one square root and one division. So every machine gives the same bits.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.encoders.files import digest, file_hash
from deepfeast.transforms.encoders.options import check_options
from deepfeast.transforms.encoders.text.pieces import MAX_CHARACTERS, PieceCounter
from deepfeast.transforms.errors import EncoderNotFound, Reject

if TYPE_CHECKING:
    from typing import TypeVar

    from numpy.typing import NDArray

    Number = TypeVar("Number", np.int32, np.float32)

DIM = 320
# Whole numbers below it are exact as 32-bit floats, which add up faster than integers do.
EXACT = 1 << 24
# The weight of a piece that occurs n times, in sixteenths: a tenth mention says little new.
WEIGHTS = np.rint(16 * np.sqrt(np.arange(MAX_CHARACTERS + 1))).astype(np.int32)


class StaticTextEncoder(Encoder):
    """Encode texts by the bundled table of word pieces: some 10,000 texts a second and core.

    Vectors have 320 numbers and length 1. Case, accents and the order of words make no
    difference; a text of unknown signs alone is a reject.
    """

    modality = "text"
    batch_cost = 1 << 19  # characters: what is new in a batch is kept whole
    _loaded = ("_table",)

    def __init__(self, options: dict[str, str] | None = None, path: Path | None = None):
        check_options("text-tiny", options or {}, ())
        self.path = path or weights_path()

    @property
    def dim(self) -> int:
        return DIM

    @functools.cached_property
    def fingerprint(self) -> str:
        return digest(kind="static", table=file_hash(self.path), cut=MAX_CHARACTERS)

    def load(self) -> None:
        self._table = WordTable.read(self.path)

    def prepare(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Reject("not_text", f"expected a str, got {type(value).__name__}")
        if not value.strip():
            raise Reject("text_blank", "the text is empty or blank; treat it as missing")
        return value

    def cost(self, prepared: str) -> int:
        return min(len(prepared), MAX_CHARACTERS)

    def tally(self, prepared: str) -> dict[str, int]:
        return {"truncated": 1} if len(prepared) > MAX_CHARACTERS else {}

    def encode_batch(self, prepared: Sequence[str]) -> NDArray[np.float32]:
        return unit(self._table.sums(prepared))


class WordTable:
    """Sums of piece vectors over texts.

    Parameters
    ----------
    pieces : dict of str to int
        Row of each piece in `vectors`; inside a word pieces begin with ``##``.
    vectors : ndarray of shape (n_pieces, dim), int32
    """

    def __init__(self, pieces: dict[str, int], vectors: NDArray[np.int32]):
        self.count = PieceCounter(pieces)
        self.vectors = vectors.astype(np.float32)  # whole numbers still
        self.largest = int(np.abs(vectors).max(initial=0))

    @classmethod
    def read(cls, path: Path) -> WordTable:
        """Read a table: ``vocabulary`` (text), ``mantissas`` (int8) and ``shifts`` (uint8)."""
        from safetensors.numpy import load_file

        arrays = load_file(path)
        names = arrays["vocabulary"].tobytes().decode().split("\n")
        shifts = arrays["shifts"].astype(np.int32)[:, None]
        vectors = arrays["mantissas"].astype(np.int32) << shifts
        return cls({name: row for row, name in enumerate(names)}, vectors)

    def sums(self, texts: Sequence[str]) -> NDArray[np.int32]:
        """Sum each text's pieces, a word's by how often it occurs: (n_texts, dim) int32."""
        pieces, times, ends = self.count(texts)
        weights = WEIGHTS[times]
        heaviest = np.diff(np.concatenate([[0], np.cumsum(weights)])[ends]).max(initial=0)
        if heaviest * self.largest < EXACT:  # all texts but those of a thousand words and more
            floats = weights.astype(np.float32)
            return weighted_sums(floats, pieces, ends, self.vectors).astype(np.int32)
        return weighted_sums(weights, pieces, ends, self._integers)

    @functools.cached_property
    def _integers(self) -> NDArray[np.int32]:
        return self.vectors.astype(np.int32)


def weighted_sums(
    weights: NDArray[Number],
    rows: NDArray[np.integer],
    ends: NDArray[np.integer],
    vectors: NDArray[Number],
) -> NDArray[Number]:
    """Sum weighted rows of `vectors`, those of text i between ``ends[i]`` and ``ends[i + 1]``.

    >>> weighted_sums(np.array([2, 1]), np.array([0, 1]), np.array([0, 2]), np.array([[3], [4]]))
    array([[10]])
    """
    try:
        from scipy.sparse import csr_array
    except ImportError:  # a slim installation: the same whole numbers, up to twice as slowly
        spans = itertools.pairwise(ends)
        return np.stack([weights[a:b] @ vectors[rows[a:b]] for a, b in spans])
    matrix = csr_array(
        (weights, rows.astype(np.int32), ends.astype(np.int32)),
        shape=(len(ends) - 1, len(vectors)),
    )
    return matrix @ vectors


def unit(sums: NDArray[np.int32]) -> NDArray[np.float32]:
    """Scale rows to length 1, the same bits on every machine; NaN where a row is zero.

    Numbers are brought below 2²⁰ first, so that their squares add up exactly.
    """
    largest = np.maximum(sums.max(axis=1, initial=0), -sums.min(axis=1, initial=0))
    shift = np.maximum(np.frexp(largest.astype(np.float64))[1] - 20, 0)
    numbers = (sums >> shift[:, None]).astype(np.float64)
    squares = np.einsum("ij,ij->i", numbers, numbers)
    with np.errstate(invalid="ignore"):
        return (numbers / np.sqrt(squares)[:, None]).astype(np.float32)


def weights_path() -> Path:
    """Return the table that comes with the package.

    Raises
    ------
    EncoderNotFound
        If it is not there: the installation is incomplete.
    """
    path = Path(__file__).parent / "weights" / "text_tiny.safetensors"
    if not path.is_file():
        raise EncoderNotFound(
            f"the encoder 'text-tiny' has no table at {path}. Reinstall deepfeast, or make one: "
            f"python training/text_table.py"
        )
    return path
