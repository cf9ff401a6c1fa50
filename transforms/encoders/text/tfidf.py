"""TF-IDF and a truncated SVD, fitted once and frozen: the cheap baseline of every comparison."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.encoders.files import digest
from deepfeast.transforms.encoders.fitted import FittedEncoder
from deepfeast.transforms.errors import EncoderError, Reject, SpecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_TERMS = 20_000


class TfidfEncoder(FittedEncoder):
    """Encode texts by the leading directions of their TF-IDF weights.

    Words and pairs of words, sublinear term frequency, at most `MAX_TERMS` terms; vectors have
    length 1 where a text has a known term, else zero.

    >>> encoder = TfidfEncoder(2)
    >>> encoder.fit(["red shirt", "red hat", "blue hat"])
    >>> encoder.encode(["red hat"]).shape
    (1, 2)
    """

    modality = "text"
    batch_cost = 4096
    _loaded = ("_vectorizer",)

    def __init__(self, dim: int):
        if dim < 1:
            raise SpecError(f"tfidf:{dim}: expected a length of at least 1, e.g. tfidf:64.")
        self._dim = dim
        self._state: dict[str, NDArray] = {}

    @property
    def dim(self) -> int:
        return self._dim

    @functools.cached_property
    def spec_fingerprint(self) -> str:
        return digest(kind="tfidf", dim=self._dim, terms=MAX_TERMS)

    def fit(self, values: Sequence[Any]) -> None:
        from sklearn.decomposition import TruncatedSVD

        texts = [value for value in values if isinstance(value, str)]
        vectorizer = _vectorizer()
        try:
            weights = vectorizer.fit_transform(texts)
        except ValueError as error:
            raise EncoderError(f"tfidf:{self._dim} found no words to fit to: {error}") from None
        rank = min(self._dim, *(side - 1 for side in weights.shape))
        if rank < 1:
            raise EncoderError(f"tfidf:{self._dim} needs at least two texts of different words.")
        svd = TruncatedSVD(rank, random_state=0).fit(weights)
        directions = np.zeros((self._dim, weights.shape[1]), dtype=np.float32)
        directions[:rank] = svd.components_
        terms = json.dumps(vectorizer.get_feature_names_out().tolist()).encode()
        self.restore(
            {
                "terms": np.frombuffer(terms, dtype=np.uint8),
                "idf": vectorizer.idf_.astype(np.float64),
                "directions": directions,
            }
        )

    def state(self) -> dict[str, NDArray]:
        return self._state

    def restore(self, state: dict[str, NDArray]) -> None:
        self._state = state
        self.__dict__.pop("_is_loaded", None)

    def load(self) -> None:
        self._vectorizer = _vectorizer(json.loads(self._state["terms"].tobytes()))
        self._vectorizer.idf_ = self._state["idf"]

    def prepare(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Reject("not_text", f"expected a str, got {type(value).__name__}")
        return value

    def encode_batch(self, prepared: Sequence[str]) -> NDArray[np.float32]:
        found = self._vectorizer.transform(prepared) @ self._state["directions"].T
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return (found / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def _vectorizer(terms: list[str] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2),
        max_features=None if terms else MAX_TERMS,
        vocabulary=terms,
    )
