"""Labelled pictures on disk: drawn once, seen by the teacher once, read many times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pictures import draw
from PIL import Image

SHARD = 2048
STORED = 136
"""Pixels along a stored picture: the student's 128 and a margin to shift in."""
STUDENT_RESIZE = 146
GRID = 4
TOP = 6.0
"""Largest activation of the teacher (ReLU6)."""


def write_shard(cache: Path, number: int, photos: Sequence[Image.Image], teacher) -> bool:
    """Draw and label shard ``number``; False where it exists or is being made.

    Any number of processes may write side by side. The number is the seed.
    """
    done = cache / f"{number:04d}.ready"
    claim = cache / f"{number:04d}.claim"
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        return False
    rng = np.random.default_rng(number)
    pixels = np.empty((SHARD, STORED, STORED, 3), np.uint8)
    pooled = np.empty((SHARD, 1280), np.float16)
    local = np.empty((SHARD, GRID, GRID, 1280), np.uint8)
    for start in range(0, SHARD, 32):
        batch = [draw(rng, photos) for _ in range(32)]
        rows = slice(start, start + 32)
        pixels[rows] = np.stack([student_view(picture) for picture in batch])
        maps = teacher.maps(np.stack([teacher_view(picture) for picture in batch]))
        pooled[rows] = maps.mean((2, 3))
        local[rows] = _gridded(maps)
    for name, values in (("pixels", pixels), ("pooled", pooled), ("local", local)):
        np.save(cache / f"{number:04d}.{name}.npy", values)
    done.touch()
    return True


def read_shards(cache: Path) -> list[dict[str, np.ndarray]]:
    """Every finished shard, as memory-mapped arrays."""
    names = ("pixels", "pooled", "local")
    return [
        {name: np.load(cache / f"{done.name[:4]}.{name}.npy", mmap_mode="r") for name in names}
        for done in sorted(cache.glob("*.ready"))
    ]


def teacher_view(picture: Image.Image) -> np.ndarray:
    """Keep the centre 224 of 256 pixels, uint8 (224, 224, 3)."""
    return _centre(picture, 224)


def student_view(picture: Image.Image) -> np.ndarray:
    """Shrink the same field to the student's scale, with a margin, uint8 (136, 136, 3)."""
    small = picture.resize((STUDENT_RESIZE, STUDENT_RESIZE), Image.BILINEAR)
    return _centre(small, STORED)


def _centre(picture: Image.Image, side: int) -> np.ndarray:
    left = (picture.size[0] - side) // 2
    return np.asarray(picture.crop((left, left, left + side, left + side)))


def _gridded(maps: np.ndarray) -> np.ndarray:
    """Average 7 x 7 cells into 4 x 4 overlapping ones, as 8-bit numbers (n, 4, 4, 1280)."""
    size = maps.shape[-1]
    bins = [(i * size // GRID, -(-(i + 1) * size // GRID)) for i in range(GRID)]
    rows = np.stack([maps[:, :, a:b].mean(2) for a, b in bins], 1)
    cells = np.stack([rows[..., a:b].mean(3) for a, b in bins], 2)
    return np.round(cells * (255 / TOP)).astype(np.uint8)
