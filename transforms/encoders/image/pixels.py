"""From an upright RGB image to what a vision network reads: its folder's own preprocessing.

The processors of `transformers` work in float32 throughout. Resizing and cropping give the
same numbers in 8 bits, at a quarter of the memory, and scaling can be left to the network's
side; where a folder's processor does something else, that processor is used as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Preprocessing:
    """Resize, crop, scale.

    Attributes
    ----------
    resize : int or (int, int), optional
        The shorter side in pixels, or (height, width).
    crop : (int, int), optional
        Height and width of the centre that is kept.
    resample : int
        Pillow's number of the filter.
    mean, std : tuple of float
        A network reads ``(pixel - mean) / std``, with pixels of 0 to 255.
    """

    resize: int | tuple[int, int] | None
    crop: tuple[int, int] | None
    resample: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, image: PIL.Image.Image) -> NDArray[np.uint8]:
        """Turn an RGB image into pixels (height, width, 3), uint8."""
        size = image.size if self.resize is None else _target(image.size, self.resize)
        height, width = self.crop or (size[1], size[0])
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        if left < 0 or top < 0:  # a crop beyond the picture is padded
            image = image.resize(size, resample=self.resample)
            image = image.crop((left, top, left + width, top + height))
        else:  # what the crop would cut off is not even computed
            across, down = image.width / size[0], image.height / size[1]
            box = (left * across, top * down, (left + width) * across, (top + height) * down)
            image = image.resize((width, height), resample=self.resample, box=box)
        return np.asarray(image, dtype=np.uint8)

    @property
    def shorter(self) -> int | None:
        """The shorter side, in pixels, from which on a photo may be decoded at reduced size.

        Four times what the resizing leaves: JPEG's own reduction averages blocks of pixels, and
        with fewer of them left than that the vector moves (cosine .9995 at four times, .998 at
        two; 169 photographs, two networks).
        """
        if self.resize is None:
            return None
        return 4 * (self.resize if isinstance(self.resize, int) else max(self.resize))

    def scaled(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Turn pixels into what the network reads: (3, height, width)."""
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        return ((pixels.astype(np.float32) - mean) / std).transpose(2, 0, 1)


def read_preprocessing(processor: Any) -> Preprocessing | None:
    """Read a `transformers` image processor; None where its numbers cannot be had so."""
    found = _translate(processor)
    return found if found is not None and _same(found, processor) else None


def _translate(processor: Any) -> Preprocessing | None:
    def has(name: str) -> Any:
        value = getattr(processor, name, None)
        return (
            value if value is None or isinstance(value, int | float | list | tuple) else dict(value)
        )

    size, crop = has("size") or {}, has("crop_size") or {}
    resize = _side_or_sides(size) if has("do_resize") else None
    cropped = _side_or_sides(crop) if has("do_center_crop") else None
    if has("crop_pct") and has("do_resize") and isinstance(resize, int):  # ConvNeXt's way
        cropped = (resize, resize)
        resize = int(resize / processor.crop_pct) if resize < 384 else cropped
    factor = float(has("rescale_factor") or 1) if has("do_rescale") else 1.0
    mean, std = (
        (has("image_mean"), has("image_std")) if has("do_normalize") else ([0.0] * 3, [1.0] * 3)
    )
    if isinstance(cropped, int) or not mean or not std:
        return None
    return Preprocessing(
        resize=resize,
        crop=cropped,
        resample=int(has("resample") or 2),
        mean=tuple(m / factor for m in mean),
        std=tuple(s / factor for s in std),
    )


def _side_or_sides(size: Any) -> int | tuple[int, int] | None:
    if isinstance(size, int):
        return size
    if size.get("shortest_edge") and not size.get("longest_edge"):
        return int(size["shortest_edge"])
    if size.get("height") and size.get("width"):
        return int(size["height"]), int(size["width"])
    return None


def _target(size: tuple[int, int], resize: int | tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) after resizing."""
    if not isinstance(resize, int):
        return resize[1], resize[0]
    width, height = size
    if width <= height:
        return resize, int(resize * height / width)
    return int(resize * width / height), resize


def _same(ours: Preprocessing, processor: Any) -> bool:
    """Compare with the folder's own processor on a wide, a tall and a small image.

    A colour may be rounded the other way now and then, as only what the crop leaves is computed.
    """
    from PIL import Image

    random = np.random.default_rng(0)
    for height, width in ((240, 360), (301, 257), (64, 50)):
        coarse = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        theirs = np.asarray(processor(image, return_tensors="np")["pixel_values"][0])
        mine = ours.scaled(ours(image))
        if mine.shape != theirs.shape:
            return False
        levels = np.abs(mine - theirs) * np.array(ours.std)[:, None, None]
        if levels.max() > 1.01 or levels.mean() > 0.1:
            return False
    return True
