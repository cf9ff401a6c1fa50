"""Pictures on which image encoders are judged, and features made by hand to judge them against."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw


def landscape(rng: np.random.Generator) -> tuple[Image.Image, list[float]]:
    """Draw hills, trees and a sun; give trees, roughness, warmth of light and sun height."""
    trees, rough, warmth, height = rng.integers(0, 12), *rng.random(3)
    light = np.array([120 + 120 * warmth, 150 + 30 * warmth, 220 - 140 * warmth])
    ramp = np.linspace(1, 0.6, 256)[:, None, None] * light * np.ones((1, 256, 1))
    canvas = Image.fromarray(np.clip(ramp, 0, 255).astype(np.uint8))
    pen, x = ImageDraw.Draw(canvas), np.arange(-8, 265, 4)
    sun = (rng.uniform(20, 236), 20 + 110 * (1 - height))
    pen.ellipse((sun[0] - 14, sun[1] - 14, sun[0] + 14, sun[1] + 14), fill=(255, 245, 200))
    for depth in range(3):
        steps = rng.normal(0, 1 + 9 * rough, x.size)
        ridge = 120 + depth * 40 + np.cumsum(steps) * 0.5 + 15 * np.sin(x / rng.uniform(20, 80))
        green = tuple(int(v) for v in np.array([60, 95, 50]) * (0.6 + 0.3 * depth) + 15 * warmth)
        outline = zip(x.tolist(), ridge.tolist(), strict=True)
        pen.polygon([(-8, 264), *outline, (264, 264)], fill=green)
    for _ in range(trees):
        left, foot, tall = rng.uniform(5, 250), rng.uniform(170, 250), rng.uniform(25, 60)
        pen.rectangle((left - 2, foot - tall / 2, left + 2, foot), fill=(70, 45, 30))
        crown = [(left - tall / 3, foot - tall / 3), (left + tall / 3, foot - tall / 3)]
        pen.polygon([*crown, (left, foot - tall)], fill=(25, int(rng.integers(60, 110)), 35))
    return canvas, [float(trees), rough, warmth, height]


def small_crop(rng: np.random.Generator, photo: Image.Image) -> Image.Image:
    """Cut a small square at random out of a photograph and recolour it."""
    side = min(photo.size) * rng.uniform(0.2, 0.45)
    left, top = (rng.uniform(0, edge - side) for edge in photo.size)
    crop = photo.resize((256, 256), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
    # Colours are changed, lest their mean alone gives the photograph away.
    mix = np.eye(3) * 0.3 + rng.dirichlet(np.ones(3), 3).T * 0.7
    pixels = np.asarray(crop, np.float32) @ mix
    return Image.fromarray(np.clip(pixels * rng.uniform(0.6, 1.3), 0, 255).astype(np.uint8))


def handcrafted(pictures: list[Image.Image]) -> np.ndarray:
    """Colour histogram (4 x 4 x 4 bins) and histograms of gradients (8 x 8 cells, 9 angles)."""
    return np.stack([_histograms(picture) for picture in pictures])


def _histograms(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(
        picture.convert("RGB").resize((128, 128), Image.Resampling.BILINEAR), np.float32
    )
    codes = (pixels // 64).astype(int) @ np.array([16, 4, 1])
    colours = np.bincount(codes.ravel(), minlength=64) / codes.size
    dy, dx = np.gradient(pixels.mean(2))
    angle = (np.arctan2(dy, dx) % np.pi / np.pi * 9).astype(int).clip(0, 8)
    y, x = np.mgrid[:128, :128] // 16
    cells = np.bincount(((y * 8 + x) * 9 + angle).ravel(), np.hypot(dx, dy).ravel(), 576)
    cells = cells.reshape(64, 9)
    cells = cells / (np.linalg.norm(cells, axis=1, keepdims=True) + 1e-3)
    return np.concatenate([np.sqrt(colours), cells.ravel()])
