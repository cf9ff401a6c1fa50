"""From the bytes of an image file to pixels, safely.

Photos in real tables are phone pictures lying on their side, scans of 16 bits, palettes with
holes, half an upload. Here each becomes upright RGB of 8 bits, or a `Reject` that says why
not; nothing here brings a job down.
"""

from __future__ import annotations

import contextlib
import functools
import io
import struct
import zlib
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.errors import Reject

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import NDArray

# Photographs, and nothing that starts another program (EPS) or fetches other files.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
MAX_PIXELS = 64_000_000

# What Pillow's readers raise on damaged files.
_BROKEN = (
    ArithmeticError,
    AttributeError,
    RuntimeError,
    TypeError,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    struct.error,
    zlib.error,
)


def decode(
    value: bytes | PIL.Image.Image | NDArray[np.uint8],
    *,
    max_pixels: int = MAX_PIXELS,
    shorter: int | None = None,
) -> PIL.Image.Image:
    """Decode an image file to an upright RGB image of 8 bits.

    Parameters
    ----------
    value : bytes, PIL.Image.Image, or ndarray of shape (height, width, 3), uint8
        Of an animation the first frame is taken; transparent parts become white; 16 bits are
        scaled to 8; the EXIF orientation is applied.
    max_pixels : int
        Larger images are refused before they are decoded.
    shorter : int, optional
        What the shorter side must have at least, in pixels: a JPEG that has more is decoded at a
        half, a quarter or an eighth of its size, which its format makes cheap.

    Returns
    -------
    PIL.Image.Image
        Of mode RGB.

    Raises
    ------
    Reject
        ``image_unknown``, ``image_truncated``, ``image_broken`` or ``image_too_large``.

    Examples
    --------
    >>> decode(np.zeros((2, 3, 3), dtype=np.uint8)).size
    (3, 2)
    """
    from PIL import Image, UnidentifiedImageError

    try:
        if isinstance(value, np.ndarray):
            return _from_array(value)
        if isinstance(value, Image.Image):
            return _upright_rgb(value)
        if not isinstance(value, bytes | bytearray | memoryview):
            raise Reject("not_an_image", f"expected the bytes of an image file, got {type(value)}")
        with Image.open(io.BytesIO(value), formats=_formats()) as image:
            _refuse_bomb(image.size, max_pixels)
            if shorter:
                share = shorter / min(image.size)
                # In the mode that it has: only the size is to change. Other formats ignore it.
                image.draft(image.mode, (ceil(image.width * share), ceil(image.height * share)))
            image.load()
            return _upright_rgb(image)
    except UnidentifiedImageError:
        raise Reject("image_unknown", _what_it_is(value)) from None
    except Image.DecompressionBombError as error:
        raise Reject("image_too_large", f"{error}") from None
    except _BROKEN as error:
        cut = "truncated" in str(error).lower() or isinstance(error, EOFError)
        raise Reject("image_truncated" if cut else "image_broken", f"{error}") from None


@functools.lru_cache(maxsize=1)
def _formats() -> list[str]:
    from PIL import Image

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _refuse_bomb(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise Reject(
            "image_too_large",
            f"{width} x {height} pixels; at most {max_pixels:,} are decoded",
        )


def _what_it_is(value: Any) -> str:
    start = bytes(value[:12])
    return f"{len(value)} bytes starting {start!r} are none of {', '.join(FORMATS)}"


def _from_array(pixels: NDArray[Any]) -> PIL.Image.Image:
    from PIL import Image

    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise Reject(
            "not_an_image",
            f"an array of shape {pixels.shape}, {pixels.dtype}; expected (height, width, 3), uint8",
        )
    return Image.fromarray(pixels)


def _upright_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    from PIL import ImageOps

    with contextlib.suppress(*_BROKEN):  # damaged EXIF says nothing of the pixels
        image = ImageOps.exif_transpose(image)
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        return _over_white(image.convert("RGBA"))
    return image.convert("RGB")


def _eight_bits(image: PIL.Image.Image) -> PIL.Image.Image:
    """Scale 16 bits, or floats up to 1, to 0...255; Pillow alone would cut them off."""
    from PIL import Image

    pixels = np.asarray(image, dtype=np.float64)
    top = pixels.max(initial=0)
    full = 65535 if top > 255 else 255 if top > 1 or image.mode != "F" else 1
    if image.mode.startswith("I;16"):
        full = 65535
    return Image.fromarray(np.clip(pixels * (255 / full), 0, 255).round().astype(np.uint8))


def _over_white(image: PIL.Image.Image) -> PIL.Image.Image:
    from PIL import Image

    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")
