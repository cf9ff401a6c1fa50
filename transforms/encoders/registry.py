"""Encoders by name: ``kind:where?option=value``, or a short alias."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.errors import EncoderNotFound, did_you_mean

if TYPE_CHECKING:
    from deepfeast.transforms.views import DeepFeature


def get_encoder(name: str, *, precision: str = "fast", threads: int | None = None) -> Encoder:
    """Find an encoder by its string.

    >>> get_encoder("python:deepfeast.transforms.testing:WordLengths?dim=2").dim
    2
    """
    kind, _, rest = name.partition(":")
    where, _, query = rest.partition("?")
    if kind not in _KINDS:
        known = [*_KINDS]
        raise EncoderNotFound(
            f"no encoder {name!r}. Known: {', '.join(known)}.{did_you_mean(kind, known)}"
        )
    return _KINDS[kind](where, dict(parse_qsl(query)), precision)


def build_encoder(feature: DeepFeature) -> Encoder:
    """Compose the encoder of a deep feature with what follows it."""
    return get_encoder(feature.encoder, precision=feature.precision)


def _python(where: str, options: dict[str, str], precision: str) -> Encoder:
    module, _, attribute = where.partition(":")
    factory = getattr(importlib.import_module(module), attribute)
    numbers: dict[str, Any] = {
        key: int(value) if value.isdigit() else value for key, value in options.items()
    }
    return factory(**numbers)


_KINDS = {"python": _python}
