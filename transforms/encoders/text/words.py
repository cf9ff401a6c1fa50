"""Word vectors: a text is the mean of its words' vectors.

Reads word2vec files (text and binary) and GloVe files. Old pipelines have them; to change one
for a contextual encoder is one string in the spec.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from deepfeast.transforms.encoders.files import digest, file_hash
from deepfeast.transforms.encoders.fitted import FittedEncoder
from deepfeast.transforms.encoders.options import check_options
from deepfeast.transforms.errors import EncoderError, EncoderNotFound, Reject, SpecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORD = re.compile(r"\w+(?:['\u2019\-]\w+)*")  # with the apostrophes of two keyboards
SIF_A = 1e-3  # the weight's only parameter, at the value its authors recommend


class Words(NamedTuple):
    """One text: rows of its known words in the table, and how many were unknown."""

    rows: list[int]
    unknown: int


class WordVectors(FittedEncoder):
    """Encode texts by the mean of their words' vectors.

    Parameters
    ----------
    path : str
        A word2vec file (``.bin`` is binary, else text) or a GloVe file.
    options : dict of str to str
        ``pool``: ``mean`` or ``sif``, which weighs rare words more and takes out what all texts
        share (fitted to data); ``limit``: only the first so many words, which are the most
        frequent.

    References
    ----------
    Arora, Liang, Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017:
    each word weighs a / (a + its frequency), and the first principal direction is removed.
    """

    modality = "text"
    batch_cost = 100_000
    _loaded = ("_rows", "_vectors")

    def __init__(self, path: str, options: dict[str, str] | None = None, kind: str = "word2vec"):
        options = options or {}
        check_options(f"{kind}:{path}", options, ("pool", "limit"))
        self.path = Path(path).expanduser()
        self.kind = kind
        self.pool = options.get("pool", "mean")
        self.limit = int(options.get("limit", 0))
        if not self.path.is_file():
            raise EncoderNotFound(f"no file of word vectors at {self.path}.")
        if self.pool not in ("mean", "sif"):
            raise SpecError(f"pool={self.pool!r} of {kind}: expected mean or sif.")
        self.has_state = self.pool == "sif"
        self._state: dict[str, NDArray] = {}

    @functools.cached_property
    def dim(self) -> int:
        with self.path.open("rb") as file:
            return _shape(file, self.kind, self.path)[1]

    @functools.cached_property
    def spec_fingerprint(self) -> str:
        return digest(
            kind=self.kind, file=file_hash(self.path), pool=self.pool, limit=self.limit, a=SIF_A
        )

    def load(self) -> None:
        words, vectors = read_vectors(self.path, self.kind, self.limit)
        self._rows = {word: row for row, word in reversed(list(enumerate(words)))}
        self._vectors = vectors

    def prepare(self, value: Any) -> Words:
        if not isinstance(value, str):
            raise Reject("not_text", f"expected a str, got {type(value).__name__}")
        words = WORD.findall(value)
        found = [self._row(word) for word in words]
        rows = [row for row in found if row is not None]
        if not rows:
            raise Reject(
                "no_known_word", f"none of the {len(words)} words of {value[:40]!r} has a vector"
            )
        return Words(rows, len(words) - len(rows))

    def cost(self, prepared: Words) -> int:
        return len(prepared.rows)

    def tally(self, prepared: Words) -> dict[str, int]:
        unknown = prepared.unknown
        return {"words": len(prepared.rows) + unknown, "unknown_words": unknown}

    def encode_batch(self, prepared: Sequence[Words]) -> NDArray[np.float32]:
        vectors = self._pooled(prepared)
        if self.pool == "sif":
            shared = self._state["shared"]
            vectors = vectors - np.outer(vectors @ shared, shared)
        return vectors

    def fit(self, values: Sequence[Any]) -> None:
        """Count how frequent words are, and find the direction that all texts share."""
        if not self.has_state:
            raise EncoderError("word vectors with pool=mean are not fitted: leave fit out.")
        if "_rows" not in self.__dict__:
            self.load()
        texts = [words for words in self.prepare_many(values) if isinstance(words, Words)]
        counts = Counter(row for words in texts for row in words.rows)
        rows = np.array(sorted(counts), dtype=np.int64)
        counted = np.array([counts[int(row)] for row in rows], dtype=np.int64)
        self._state = {"rows": rows, "counts": counted}
        pooled = self._pooled(texts).astype(np.float64)
        shared = np.linalg.eigh(pooled.T @ pooled)[1][:, -1]
        shared = shared * np.sign(shared[np.abs(shared).argmax()])
        self._state["shared"] = shared.astype(np.float32)

    def state(self) -> dict[str, NDArray]:
        return self._state

    def restore(self, state: dict[str, NDArray]) -> None:
        self._state = state
        self.__dict__.pop("_weights", None)

    @functools.cached_property
    def _weights(self) -> dict[int, float]:
        rows, counts = self._state["rows"], self._state["counts"]
        weights = SIF_A / (SIF_A + counts / counts.sum())
        return dict(zip(rows.tolist(), weights.tolist(), strict=True))

    def _pooled(self, prepared: Sequence[Words]) -> NDArray[np.float32]:
        found = np.empty((len(prepared), self.dim), dtype=np.float32)
        for place, words in enumerate(prepared):
            vectors = self._vectors[words.rows]
            if self.pool == "sif":  # a word never seen in fitting is as rare as can be
                weights = np.array([self._weights.get(row, 1.0) for row in words.rows], np.float32)
                vectors = vectors * weights[:, None]
            found[place] = vectors.mean(axis=0)
        return found

    def _row(self, word: str) -> int | None:
        row = self._rows.get(word)
        return self._rows.get(word.lower()) if row is None else row

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_weights"}


def read_vectors(path: Path, kind: str, limit: int = 0) -> tuple[list[str], NDArray[np.float32]]:
    """Read words and their vectors (n_words, dim) from a word2vec or GloVe file."""
    with path.open("rb") as file:
        count, dim = _shape(file, kind, path)
        binary = kind == "word2vec" and path.suffix == ".bin"
        pairs = _binary(file, count or 0, dim) if binary else _lines(file, dim, path)
        words, vectors = [], []
        for word, vector in pairs:
            words.append(word)
            vectors.append(vector)
            if len(words) == limit:
                break
    return words, np.vstack(vectors).astype(np.float32, copy=False)


def _shape(file: BinaryIO, kind: str, path: Path) -> tuple[int | None, int]:
    """Read (words, dim) from word2vec's first line; GloVe has none: (None, dim), rewound."""
    first = file.readline().decode("utf-8", "replace").rstrip().split(" ")
    if kind == "word2vec":
        if len(first) != 2 or not all(part.isdecimal() for part in first):
            raise EncoderError(
                f"{path} does not begin like a word2vec file (number of words, dim); it begins "
                f"{' '.join(first)[:40]!r}. A GloVe file is read with glove:{path}."
            )
        return int(first[0]), int(first[1])
    if len(first) < 3:
        raise EncoderError(f"{path} is not a GloVe file. A word2vec file: word2vec:{path}.")
    file.seek(0)
    return None, len(first) - 1


def _binary(file: BinaryIO, count: int, dim: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for _ in range(count):
        word = bytearray()
        while (letter := file.read(1)) not in (b" ", b""):
            word += letter
        numbers = file.read(4 * dim)
        if len(numbers) < 4 * dim:
            raise EncoderError(f"{file.name} ends too early: {count} words were announced.")
        yield word.lstrip(b"\n").decode("utf-8", "replace"), np.frombuffer(numbers, np.float32)


def _lines(file: BinaryIO, dim: int, path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for number, line in enumerate(file, 1):
        # From the right: some GloVe words hold spaces.
        word, *numbers = line.decode("utf-8", "replace").rstrip().rsplit(" ", dim)
        if len(numbers) != dim:
            raise EncoderError(f"{path}, entry {number}: {len(numbers)} numbers, expected {dim}.")
        yield word, np.array(numbers, dtype=np.float32)
