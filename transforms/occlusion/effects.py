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
Luck = Callable[["NDArray[np.floating]", "NDArray[np.float64]", int], "NDArray[np.float64]"]
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
    noise : float, optional
        How large an effect luck makes here.
    """

    place: Span | Box
    effect: float
    photo: int = 0
    noise: float | None = None

    @property
    def luck(self) -> bool:
        """Whether the effect is within its noise."""
        return self.noise is not None and abs(self.effect) <= self.noise


def part_effects(
    content: str | bytes | tuple[bytes, ...],
    encoder: Encoder,
    predict: Predict,
    *,
    most: int = PARTS,
    patches: int = PATCHES,
    noise: Luck | None = None,
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
    noise : callable, optional
        Differences of vectors (n, dim), their effects (n,) and the number of parts in all to the
        noise of each (n,), such as a `Noise`.

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
        less = [without(content, span) for span in spans]
        return _parts(spans, _differences(content, less, encoder, predict), noise, len(spans))
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
    grids = [grid(*picture.size, patches) for _, picture in pictures]
    count = sum(map(len, grids))
    found = []
    for place, ((number, picture), boxes) in enumerate(zip(pictures, grids, strict=True)):
        # Each photo in turn, so that few of these large files are held at a time.
        fillings = [to_bytes(covered(picture, box)) for box in boxes]
        cells: list[Any] = [
            (*whole[:place], one, *whole[place + 1 :]) for one in [whole[place], *fillings]
        ]
        if not isinstance(content, tuple):
            cells = [cell[0] for cell in cells]
        moved = _differences(cells[0], cells[1:], encoder, predict)
        found += _parts(boxes, moved, noise, count, number)
    return found


def _differences(
    whole: Any, less: Sequence[Any], encoder: Encoder, predict: Predict
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return how far the vector and the prediction move; NaN where the rest has no vector."""
    encoded = encoder.encode_safely([whole, *less])
    if 0 in encoded.rejects:
        raise encoded.rejects[0]
    vectors = encoded.vectors
    predicted = np.full(len(vectors), np.nan)
    there = np.isfinite(vectors).all(axis=1)
    predicted[there] = predict(vectors[there])
    return vectors[0] - vectors[1:], predicted[0] - predicted[1:]


def _parts(
    places: Sequence[Span | Box],
    moved: tuple[NDArray[np.float32], NDArray[np.float64]],
    noise: Luck | None,
    count: int,
    photo: int = 0,
) -> list[Part]:
    known = np.isfinite(moved[1])
    differences, effects = moved[0][known], moved[1][known]
    luck = noise(differences, effects, count).tolist() if noise else [None] * len(effects)
    kept = [place for place, there in zip(places, known, strict=True) if there]
    return [
        Part(place, effect, photo, one)
        for place, effect, one in zip(kept, effects.tolist(), luck, strict=True)
    ]
