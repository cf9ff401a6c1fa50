"""How far a prediction moves when a part of a text or a photo is left out.

Of a text a sentence is erased (Li, Monroe and Jurafsky 2016, *Understanding Neural Networks
through Representation Erasure*), of a photo a patch is covered (Zeiler and Fergus 2014,
*Visualizing and Understanding Convolutional Networks*); the very same encoder encodes what is
left. So it works for any encoder, and takes no gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.errors import Reject
from deepfeast.transforms.occlusion.photos import Box, covered, grid, open_photo, to_bytes
from deepfeast.transforms.occlusion.texts import Span, text_parts, without

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.transforms.encoders.base import Encoder

Predict = Callable[["NDArray[np.float32]"], "NDArray[np.floating]"]
PATCHES = 6
PARTS = 40


@dataclass(frozen=True)
class Part:
    """A part of a content, and what it does to the prediction.

    Attributes
    ----------
    place : Span or Box
        Of a text, its characters; of a photo, its patch.
    effect : float
        The prediction of the whole minus that without the part: above zero, the part raises it.
    photo : int
        Which of several photos, from 0.
    """

    place: Span | Box
    effect: float
    photo: int = 0


def part_effects(
    content: str | bytes | tuple[bytes, ...],
    encoder: Encoder,
    predict: Predict,
    *,
    most: int = PARTS,
    patches: int = PATCHES,
) -> list[Part]:
    """Leave out each part of a content by itself, and predict from what is left.

    Parameters
    ----------
    content : str, bytes or tuple of bytes
        A text, a photo, or several photos that have one vector.
    encoder : Encoder
    predict : callable
        Vectors of shape (n, dim) to predictions of shape (n,).
    most : int
        Parts of a text, at most.
    patches : int
        Along the shorter side of a photo.

    Returns
    -------
    list of Part
        In their order. Parts without which nothing can be encoded are left out.

    Raises
    ------
    Reject
        If the content cannot be encoded, or has one word only.

    Examples
    --------
    >>> from deepfeast.transforms.testing import WordLengths
    >>> first = lambda vectors: vectors[:, 0]
    >>> [(part.place.start, part.effect) for part in part_effects("a sofa", WordLengths(2), first)]
    [(0, -3.0), (2, 0.0)]
    """
    if isinstance(content, str):
        spans = text_parts(content, most)
        if not spans:
            raise Reject("one_word", f"{content.strip()[:40]!r} is one word: nothing is left of it")
        effects = _effects(content, [without(content, span) for span in spans], encoder, predict)
        return _known(spans, effects)
    photos = content if isinstance(content, tuple) else (content,)
    pictures, rejects = [], []
    for number, photo in enumerate(photos):
        try:
            pictures.append((number, open_photo(photo)))
        except Reject as reject:
            rejects.append(reject)
    if not pictures:
        raise rejects[0] if rejects else Reject("no_photos", "the cell holds no photo")
    whole = [to_bytes(picture) for _, picture in pictures]
    found = []
    for place, (number, picture) in enumerate(pictures):
        boxes = grid(*picture.size, patches)
        # Each photo in turn, so that few of these large files are held at a time.
        fillings = [to_bytes(covered(picture, box)) for box in boxes]
        cells: list[Any] = [
            (*whole[:place], one, *whole[place + 1 :]) for one in [whole[place], *fillings]
        ]
        if not isinstance(content, tuple):
            cells = [cell[0] for cell in cells]
        found += _known(boxes, _effects(cells[0], cells[1:], encoder, predict), number)
    return found


def _effects(
    whole: Any, less: Sequence[Any], encoder: Encoder, predict: Predict
) -> NDArray[np.float64]:
    """Return the effect of each part; NaN where the rest has no vector."""
    encoded = encoder.encode_safely([whole, *less])
    if 0 in encoded.rejects:
        raise encoded.rejects[0]
    predicted = np.full(len(encoded.vectors), np.nan)
    there = np.isfinite(encoded.vectors).all(axis=1)
    predicted[there] = predict(encoded.vectors[there])
    return predicted[0] - predicted[1:]


def _known(
    places: Sequence[Span | Box], effects: NDArray[np.float64], photo: int = 0
) -> list[Part]:
    return [
        Part(place, effect, photo)
        for place, effect in zip(places, effects.tolist(), strict=True)
        if np.isfinite(effect)
    ]
