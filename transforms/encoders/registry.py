"""Encoders by name: ``kind:where?option=value``, or a short alias."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.encoders.compose import PooledEncoder, ReducedEncoder
from deepfeast.transforms.errors import EncoderNotFound, SpecError, did_you_mean

if TYPE_CHECKING:
    from deepfeast.transforms.views import DeepFeature


def get_encoder(
    name: str,
    *,
    precision: str = "fast",
    threads: int | None = None,
    modality: str | None = None,
) -> Encoder:
    """Find an encoder by its string.

    Parameters
    ----------
    name : str
        An alias (``"minilm"``) or ``kind:where?option=value``.
    precision : {"fast", "exact"}
    threads : int, optional
        How many threads the network may use; by default all cores.
    modality : {"text", "image"}, optional
        What is to be encoded, where a network can do both (CLIP).

    Raises
    ------
    EncoderNotFound
        If nothing answers to the string; it lists what does.

    Examples
    --------
    >>> get_encoder("python:deepfeast.transforms.testing:WordLengths?dim=2").dim
    2
    """
    kind, _, rest = name.partition(":")
    where, _, query = rest.partition("?")
    if kind.partition("?")[0] in _ALIASES:
        alias, _, query = name.partition("?")
        kind, where = alias, ""
    known = {**_ALIASES, **_KINDS}
    if kind not in known:
        raise EncoderNotFound(
            f"no encoder {name!r}. Aliases: {', '.join(_ALIASES)}; kinds: "
            f"{', '.join(f'{kind}:' for kind in _KINDS)}.{did_you_mean(kind, known)}"
        )
    options = dict(parse_qsl(query, keep_blank_values=True))
    if modality:
        options.setdefault("tower", {"text": "text", "image": "image"}[modality])
    return known[kind](where, options, precision, threads)


def build_encoder(feature: DeepFeature, threads: int | None = None) -> Encoder:
    """Compose the encoder of a deep feature with what follows it.

    Photos of one cell are pooled first (``feature.pool``), then ``feature.reduce`` is applied.
    """
    encoder = get_encoder(feature.encoder, precision=feature.precision, threads=threads)
    if encoder.modality == "image":
        encoder = PooledEncoder(encoder, feature.pool)
    return ReducedEncoder(encoder, feature.reduce) if feature.reduce else encoder


def _minilm(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    from deepfeast.transforms.encoders.minilm import minilm_folder
    from deepfeast.transforms.encoders.text import TextEncoder

    return TextEncoder(minilm_folder(), options, precision, threads)


def _hf(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    from deepfeast.transforms.encoders.files import find_folder
    from deepfeast.transforms.encoders.image import ImageEncoder
    from deepfeast.transforms.encoders.shared import SharedTextEncoder
    from deepfeast.transforms.encoders.text import TextEncoder

    folder = find_folder(where, options.pop("revision", None))
    sees = (folder / "preprocessor_config.json").is_file()
    reads = (folder / "modules.json").is_file() or any(folder.glob("*token*"))
    tower = options.pop("tower", None)
    if sees and reads:
        if tower not in ("text", "image"):
            raise SpecError(
                f"{folder} has a text and an image tower: say which, hf:{where}?tower=text or "
                f"hf:{where}?tower=image."
            )
        build: type[Encoder] = ImageEncoder if tower == "image" else SharedTextEncoder
    else:
        build = ImageEncoder if sees else TextEncoder
    return build(folder, options, precision, threads)  # type: ignore[call-arg]


def _python(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    """``python:package.module:factory?number=2``: an encoder of your own, by dotted path."""
    module, _, attribute = where.partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise EncoderNotFound(
            f"no encoder python:{where}: {error}. Write python:package.module:Class, with the "
            f"package on the Python path."
        ) from error
    numbers: dict[str, Any] = {
        key: int(value) if value.isdigit() else value for key, value in options.items()
    }
    return factory(**numbers)


_ALIASES = {"minilm": _minilm}
_KINDS = {"hf": _hf, "python": _python}
