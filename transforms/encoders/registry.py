"""Encoders by name: ``kind:where?option=value``, or a short alias."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from deepfeast.transforms.encoders.base import Encoder
from deepfeast.transforms.encoders.compose import PooledEncoder, ReducedEncoder
from deepfeast.transforms.encoders.fitted import FittedEncoder
from deepfeast.transforms.errors import EncoderNotFound, SpecError, did_you_mean

if TYPE_CHECKING:
    from deepfeast.transforms.features import DeepFeature

    Build = Callable[[str, dict[str, str], str, int | None], Encoder]

ENTRY_POINTS = "deepfeast.encoders"
"""Entry points of this group are encoders by name: each is a class or function, called with the
options of the encoder's string."""


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
    front, _, query = name.partition("?")
    kind, _, where = front.partition(":")
    known = {**_ALIASES, **_KINDS, **_installed()}
    if kind not in known:
        raise EncoderNotFound(
            f"no encoder {name!r}. Aliases: {', '.join([*_ALIASES, *_installed()])}; kinds: "
            f"{', '.join(f'{kind}:' for kind in _KINDS)}.{did_you_mean(kind, known)}"
        )
    if precision not in ("fast", "exact"):
        raise SpecError(f"precision={precision!r}: expected 'fast' or 'exact'.")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if modality and kind == "hf":
        options.setdefault("tower", modality)
    return known[kind](where, options, precision, threads)


def names() -> list[str]:
    """List the encoders that have a name of their own."""
    return [*_ALIASES, *_installed()]


def build_encoder(feature: DeepFeature, threads: int | None = None) -> Encoder:
    """Compose the encoder of a deep feature with what follows it.

    Where a cell may hold several contents (photos), these are pooled first (``feature.pool``);
    then ``feature.reduce`` is applied, and what ``feature.storage`` rounds is rounded.
    What is fitted keeps ``feature.fit_until``, which has a say in its fingerprint.
    """
    encoder = get_encoder(feature.encoder, precision=feature.precision, threads=threads)
    if encoder.reads.several:
        encoder = PooledEncoder(encoder, feature.pool)
    if feature.reduce or feature.storage != "float32":
        encoder = ReducedEncoder(encoder, feature.reduce, feature.storage)
    if isinstance(encoder, FittedEncoder) and encoder.has_state:
        encoder.fit_until = feature.fit_until
    return encoder


def _minilm(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    from deepfeast.transforms.encoders.text.encoder import TextEncoder
    from deepfeast.transforms.encoders.text.minilm import minilm_folder

    return TextEncoder(minilm_folder(), options, precision, threads)


def _hf(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    from deepfeast.transforms.encoders.files import find_folder
    from deepfeast.transforms.encoders.image.encoder import ImageEncoder
    from deepfeast.transforms.encoders.text.encoder import TextEncoder
    from deepfeast.transforms.encoders.text.tower import SharedTextEncoder

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


def _torch(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    from deepfeast.transforms.encoders.image.tap import TapEncoder

    return TapEncoder(where, options, precision, threads)


def _text_tiny(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    from deepfeast.transforms.encoders.text.static import StaticTextEncoder

    return StaticTextEncoder(options)


def _image_tiny(
    where: str, options: dict[str, str], precision: str, threads: int | None
) -> Encoder:
    from deepfeast.transforms.encoders.image.tiny_encoder import TinyImageEncoder

    return TinyImageEncoder(True, options, precision, threads)


def _word2vec(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    from deepfeast.transforms.encoders.text.words import WordVectors

    return WordVectors(where, options, "word2vec")


def _glove(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    from deepfeast.transforms.encoders.text.words import WordVectors

    return WordVectors(where, options, "glove")


def _tfidf(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    from deepfeast.transforms.encoders.text.tfidf import TfidfEncoder

    if not where.isdecimal():
        raise SpecError(f"tfidf:{where}: expected a length, e.g. tfidf:64.")
    return TfidfEncoder(int(where))


def _python(where: str, options: dict[str, str], precision: str, threads: int | None) -> Encoder:
    from deepfeast.transforms.encoders.options import find_factory

    return _called(find_factory(where), options)


def _called(factory: Callable[..., Encoder], options: dict[str, str]) -> Encoder:
    """Call an encoder's class with the options of its string, whole numbers as such."""
    arguments: dict[str, Any] = {
        key: int(value) if value.isdecimal() else value for key, value in options.items()
    }
    return factory(**arguments)


def _installed() -> dict[str, Build]:
    """Find the encoders that other packages bring, by entry point."""

    def build(point: Any) -> Build:
        return lambda where, options, precision, threads: _called(point.load(), options)

    return {point.name: build(point) for point in entry_points(group=ENTRY_POINTS)}


_ALIASES: dict[str, Build] = {
    "minilm": _minilm,
    "text-tiny": _text_tiny,
    "image-tiny": _image_tiny,
}
_KINDS: dict[str, Build] = {
    "hf": _hf,
    "torch": _torch,
    "word2vec": _word2vec,
    "glove": _glove,
    "tfidf": _tfidf,
    "python": _python,
}
