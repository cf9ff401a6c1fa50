"""Take the photos of the generated marketplace: flat illustrations that show wear and colour.

What a buyer sees, and no column knows: the colour, the shape (from ``shape`` 0, clumsy, to 1,
slender, splayed and rounded, on brass feet) and the wear (from ``wear`` 0 to 1: faded paint,
scratches, stains, chips). An item is drawn at twice the final size, in a room, under some light.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from deepfeast.pipelines.demo.market.colours import (
    COLOURS,
    METALS,
    ROOMS,
    TONES,
    Colour,
    darker,
    lighter,
    mix,
)
from deepfeast.pipelines.demo.market.drawings import DRAWINGS, Look, Pen
from deepfeast.pipelines.demo.market.item import Item

SIZE = 224
SMOOTH = 2  # drawn this much larger, then averaged: smooth edges at little cost


def photo(item: Item, room: int, rng: np.random.Generator) -> bytes:
    """Draw one item in one room.

    Parameters
    ----------
    item : Item
        Its kind, colour, material, shape and wear are shown.
    room : int
        Which of `ROOMS`.
    rng : numpy.random.Generator
        Decides the angle, the light, the noise, and where the wear is.

    Returns
    -------
    bytes
        A JPEG of 224 x 224 pixels.
    """
    size = SIZE * SMOOTH
    canvas = furnished(ROOMS[room], size, rng)
    pen = Pen(
        canvas,
        degrees=rng.normal(0, 1.5),
        scale=size * rng.uniform(0.66, 0.76),
        x=size * rng.uniform(0.46, 0.54),
        y=size * rng.uniform(0.87, 0.91),
    )
    cast_shadow(canvas, pen)
    DRAWINGS[item.kind](pen, faded(item, rng))
    leave_marks(pen, item.wear, rng)
    return developed(canvas.reduce(SMOOTH), rng)


def faded(item: Item, rng: np.random.Generator) -> Look:
    """Return the colours as years of sun have left them."""
    tint = rng.normal(0, 5, 3)
    paint = COLOURS[item.colour][0]
    fresh: Colour = tuple(int(c) for c in np.clip(np.add(paint, tint), 0, 255))  # type: ignore[assignment]
    pale = mix((196, 188, 176), fresh, 0.25)
    tones = METALS if item.kind == "lamp" else TONES
    return Look(
        mix(fresh, pale, 0.5 * item.wear),
        mix(tones[item.material], (170, 164, 156), 0.35 * item.wear),
        item.shape,
    )


def furnished(room: tuple[Colour, Colour], size: int, rng: np.random.Generator) -> Image.Image:
    """Return an empty room: a wall, a skirting board, a floor, and sometimes a frame or boards."""
    wall, floor = room
    wall = mix(wall, (int(rng.integers(180, 256)),) * 3, 0.2)
    canvas = Image.new("RGB", (size, size), wall)
    draw = ImageDraw.Draw(canvas)
    horizon = int(size * rng.uniform(0.7, 0.78))
    draw.rectangle((0, horizon, size, size), fill=floor)
    draw.rectangle((0, horizon - size // 40, size, horizon), fill=lighter(wall, 0.5))
    kind = rng.random()
    if kind < 0.3:
        left, top = int(size * rng.uniform(0.03, 0.75)), int(size * rng.uniform(0.04, 0.1))
        draw.rectangle((left, top, left + size // 6, top + size // 5), fill=lighter(wall, 0.6))
        draw.rectangle(
            (left + 10, top + 10, left + size // 6 - 10, top + size // 5 - 10),
            fill=darker(wall, 0.15),
        )
    elif kind < 0.55:
        for y in range(horizon + size // 20, size, size // 14):
            draw.line((0, y, size, y), fill=darker(floor, 0.12), width=2)
    return canvas


def cast_shadow(canvas: Image.Image, pen: Pen) -> None:
    """Darken the floor under the item."""
    reach, flat = 0.52 * pen.cos, 0.05 * pen.cos
    draw = ImageDraw.Draw(canvas, "RGBA")
    for grow, alpha in ((1.0, 30), (0.85, 30), (0.7, 30)):
        w, h = reach * grow, flat * grow
        draw.ellipse((pen.x - w, pen.y - h, pen.x + w, pen.y + h), fill=(30, 24, 24, alpha))


def leave_marks(pen: Pen, wear: float, rng: np.random.Generator) -> None:
    """Scratch, stain and chip the item, nothing outside its outline."""
    marked = pen.canvas.copy()
    draw = ImageDraw.Draw(marked, "RGBA")
    # An eighth of the resolution is enough to aim by.
    ys, xs = np.nonzero(np.asarray(pen.outline.reduce(8)) > 200)

    def spots(n: int) -> Iterable[tuple[float, float]]:
        chosen = rng.integers(len(xs), size=n)
        return zip(xs[chosen] * 8.0 + 4, ys[chosen] * 8.0 + 4, strict=True)

    for x, y in spots(round(7 * wear**1.2)):
        blob = [
            (x + r * np.cos(a) * 1.3, y + r * np.sin(a))
            for a, r in zip(
                np.linspace(0, 6.28, 12),
                rng.uniform(8, 24) * rng.uniform(0.75, 1.1, 12),
                strict=True,
            )
        ]
        draw.polygon(blob, fill=(72, 48, 30, 85))
    for x, y in spots(round(16 * wear)):
        angle, length = rng.uniform(0, np.pi), rng.uniform(14, 60)
        dx, dy = length * np.cos(angle) / 2, length * np.sin(angle) / 2
        draw.line((x - dx, y - dy, x + dx, y + dy), fill=(240, 234, 224, 215), width=3)
    for x, y in spots(round(14 * wear)):
        chip = [(x + dx, y + dy) for dx, dy in rng.uniform(-9, 9, (5, 2))]
        draw.polygon(chip, fill=(226, 206, 176, 240))
    pen.canvas.paste(marked, mask=pen.outline)


def developed(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Light the picture from one side, add the noise of a small camera, and compress it."""
    pixels = np.asarray(image, np.float32)
    slope = rng.normal(0, 0.06, 2).astype(np.float32)
    across = np.linspace(-1, 1, SIZE, dtype=np.float32)
    light = (
        np.float32(rng.uniform(0.9, 1.06)) + slope[0] * across[None, :] + slope[1] * across[:, None]
    )
    noise = rng.standard_normal((SIZE, SIZE), dtype=np.float32) * np.float32(rng.uniform(1, 4))
    lit = np.clip(pixels * light[..., None] + noise[..., None], 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(lit).save(out, "JPEG", quality=85)
    return out.getvalue()


def contact_sheet(pictures: Iterable[tuple[bytes | None, str]], *, columns: int = 6) -> Image.Image:
    """Lay pictures out with their titles, for a person to look at; grey where none decodes."""
    from PIL import ImageFont

    tiles = list(pictures)
    font = ImageFont.load_default(13)
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (SIZE + 8) + 8, rows * (SIZE + 30) + 8), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for k, (data, words) in enumerate(tiles):
        x, y = 8 + k % columns * (SIZE + 8), 8 + k // columns * (SIZE + 30)
        try:
            sheet.paste(Image.open(io.BytesIO(data or b"")), (x, y))
        except OSError:
            draw.rectangle((x, y, x + SIZE, y + SIZE), fill=(225, 225, 225))
        draw.text((x + 2, y + SIZE + 4), words[:32], fill=(40, 40, 40), font=font)
    return sheet
