"""A photo in patches that can be covered."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import PIL.Image

SHORTER = 384
"""Pixels of a photo's shorter side, at most, when patches are covered: networks read no more."""


class Box(NamedTuple):
    """A patch of an upright photo, as shares of its width and height."""

    left: float
    top: float
    right: float
    bottom: float


def open_photo(photo: bytes) -> PIL.Image.Image:
    """Decode a photo, and make it no larger than need be.

    Raises
    ------
    Reject
        If it cannot be read.
    """
    from deepfeast.transforms.images import decode

    picture = decode(photo)
    share = SHORTER / min(picture.size)
    if share < 1:
        picture = picture.resize((round(picture.width * share), round(picture.height * share)))
    return picture


def grid(width: int, height: int, patches: int) -> list[Box]:
    """Divide a photo into about square patches, row by row.

    Parameters
    ----------
    patches : int
        Along the shorter side; along the longer one twice as many, at most.

    Examples
    --------
    >>> [len(grid(width, 100, 3)) for width in (100, 133, 900)]
    [9, 12, 18]
    """
    columns, rows = (
        min(2 * patches, max(1, round(patches * side / min(width, height))))
        for side in (width, height)
    )
    return [
        Box(column / columns, row / rows, (column + 1) / columns, (row + 1) / rows)
        for row in range(rows)
        for column in range(columns)
    ]


def covered(picture: PIL.Image.Image, box: Box) -> PIL.Image.Image:
    """Fill a patch with the mean colour of the photo.

    No fill is neutral: a patch of one colour is something to see, too. The mean colour at least
    keeps the photo as bright as it was.
    """
    mean = np.asarray(picture, np.float64).mean(axis=(0, 1))
    colour = tuple(int(part) for part in mean.round())
    corners = (
        round(box.left * picture.width),
        round(box.top * picture.height),
        round(box.right * picture.width),
        round(box.bottom * picture.height),
    )
    filled = picture.copy()
    filled.paste(colour, corners)
    return filled


def to_bytes(picture: PIL.Image.Image) -> bytes:
    """Write a photo as PNG, which loses nothing; not compressed, which takes longest."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=0)
    return out.getvalue()
