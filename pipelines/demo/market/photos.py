"""Draw the photos of the generated marketplace: flat illustrations that show wear and colour.

Everything is a polygon in the item's own coordinates (x from -0.5 to 0.5, y upwards from the
floor), turned and shifted as one by a `Pen` and drawn at twice the final size. No font and no
file is read, so a picture depends on the item, the seed and the version of Pillow alone.

What a buyer sees, and no column knows: the colour, the shape (from ``shape`` 0, clumsy, to 1,
slender, splayed and rounded, on brass feet) and the wear (from ``wear`` 0 to 1: faded paint,
scratches, stains, chips).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from deepfeast.pipelines.demo.market.items import Item

SIZE = 224
SMOOTH = 2  # drawn this much larger, then averaged: smooth edges at little cost
Colour = tuple[int, int, int]
Points = Iterable[tuple[float, float]]

# Name -> paint or cloth, effect on the log price.
COLOURS: dict[str, tuple[Colour, float]] = {
    "petrol": ((22, 92, 105), 0.48),
    "forest green": ((38, 96, 66), 0.42),
    "navy": ((38, 56, 104), 0.34),
    "mustard": ((214, 160, 44), 0.16),
    "terracotta": ((190, 92, 62), 0.06),
    "grey": ((138, 142, 146), -0.04),
    "cream": ((228, 214, 184), -0.12),
    "brown": ((112, 78, 56), -0.28),
    "pink": ((224, 140, 160), -0.36),
    "purple": ((126, 78, 142), -0.44),
    "lime": ((166, 198, 66), -0.50),
}
# In the order of MATERIALS: the tone of the wood, or of the metal of a lamp.
TONES: tuple[Colour, ...] = (
    (92, 62, 42),
    (146, 92, 54),
    (178, 132, 84),
    (206, 178, 138),
    (224, 190, 132),
    (186, 146, 104),
    (208, 186, 156),
)
METALS: tuple[Colour, ...] = (
    (196, 158, 72),
    (186, 112, 78),
    (138, 106, 66),
    (62, 62, 64),
    (176, 180, 184),
    (150, 152, 156),
    (96, 96, 100),
)
# Wall and floor; a seller photographs at home, so each keeps one pair.
ROOMS: tuple[tuple[Colour, Colour], ...] = (
    ((236, 228, 216), (196, 170, 140)),
    ((222, 230, 232), (178, 174, 168)),
    ((232, 222, 226), (170, 140, 116)),
    ((226, 232, 218), (206, 188, 160)),
    ((242, 238, 230), (150, 134, 122)),
    ((214, 218, 224), (202, 192, 180)),
    ((240, 226, 204), (184, 150, 118)),
    ((226, 226, 226), (160, 160, 160)),
)
BRASS: Colour = (206, 168, 84)


@dataclass(frozen=True)
class Look:
    """What the drawing of one item needs: its colours after fading, and its shape."""

    paint: Colour
    frame: Colour
    shape: float


class Pen:
    """Draw polygons given in the item's coordinates on the canvas, and keep the outline.

    Parameters
    ----------
    canvas : Image
        RGB, already holding the room.
    degrees, scale, x, y
        The turn, the size in pixels of one unit, and where the item's origin stands.
    """

    def __init__(
        self, canvas: Image.Image, *, degrees: float, scale: float, x: float, y: float
    ) -> None:
        self.canvas = canvas
        self.outline = Image.new("L", canvas.size)
        self.cos, self.sin = (
            np.cos(np.radians(degrees)) * scale,
            np.sin(np.radians(degrees)) * scale,
        )
        self.x, self.y = x, y
        self._draw = ImageDraw.Draw(canvas)
        self._trace = ImageDraw.Draw(self.outline)

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fill a polygon."""
        placed = [
            (self.x + px * self.cos - py * self.sin, self.y - px * self.sin - py * self.cos)
            for px, py in points
        ]
        self._draw.polygon(placed, fill=colour)
        self._trace.polygon(placed, fill=255)

    def box(
        self, left: float, bottom: float, right: float, top: float, colour: Colour, r: float = 0.0
    ) -> None:
        """Fill a box whose corners are rounded by the radius ``r``."""
        r = min(r, (right - left) / 2, (top - bottom) / 2)
        self.polygon(rounded(left, bottom, right, top, r), colour)

    def disc(self, x: float, y: float, r: float, colour: Colour) -> None:
        """Fill a circle."""
        self.box(x - r, y - r, x + r, y + r, colour, r)

    def legs(self, places: Iterable[float], top: float, look: Look, spread: float = 1.0) -> None:
        """Stand on legs: thick posts where the shape is poor, splayed and tapered where good."""
        thick, splay = 0.085 - 0.05 * look.shape, 0.07 * look.shape * spread
        foot = thick * (1.0 - 0.5 * look.shape)
        for x in places:
            lean = splay * np.sign(x)
            self.polygon(leg(x, top, x + lean, 0.0, thick, foot), look.frame)
            if look.shape > 0.6:
                low, half = 0.22 * top, foot + (thick - foot) * 0.22
                knee = x + lean * 0.78
                self.polygon(leg(knee, low, x + lean, 0.0, half, foot), BRASS)


def rounded(left: float, bottom: float, right: float, top: float, r: float) -> Points:
    """Return the corner points of a box, each corner an arc of six points where ``r`` > 0."""
    corners = (
        (right - r, top - r),
        (left + r, top - r),
        (left + r, bottom + r),
        (right - r, bottom + r),
    )
    turns = np.linspace(0, np.pi / 2, 6) if r > 0 else np.zeros(1)
    return [
        (x + r * np.cos(angle + k * np.pi / 2), y + r * np.sin(angle + k * np.pi / 2))
        for k, (x, y) in enumerate(corners)
        for angle in turns
    ]


def leg(x0: float, y0: float, x1: float, y1: float, top: float, foot: float) -> Points:
    """Return a tapered bar from (x0, y0), ``top`` wide, to (x1, y1), ``foot`` wide."""
    return [(x0 - top / 2, y0), (x0 + top / 2, y0), (x1 + foot / 2, y1), (x1 - foot / 2, y1)]


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Blend ``share`` of ``other`` into ``one``.

    >>> mix((0, 0, 0), (100, 200, 50), 0.5)
    (50, 100, 25)
    """
    a, b, c = (round(p + (q - p) * share) for p, q in zip(one, other, strict=True))
    return a, b, c


def darker(colour: Colour, share: float = 0.22) -> Colour:
    """Mix in a warm black."""
    return mix(colour, (24, 18, 22), share)


def lighter(colour: Colour, share: float = 0.22) -> Colour:
    """Mix in white."""
    return mix(colour, (255, 255, 255), share)


def chair(pen: Pen, look: Look) -> None:
    """Draw a dining chair: back, seat, four legs."""
    r = 0.01 + 0.13 * look.shape
    post = 0.05 - 0.025 * look.shape
    for x in (-0.19, 0.19):
        pen.box(x - post / 2, 0.4, x + post / 2, 0.86, look.frame)
    pen.legs((-0.16, 0.16), 0.42, Look(look.paint, darker(look.frame), look.shape), 0.4)
    pen.box(-0.24, 0.58, 0.24, 0.98, look.paint, r)
    pen.box(-0.19, 0.63, 0.19, 0.93, lighter(look.paint, 0.12), r * 0.8)
    pen.legs((-0.21, 0.21), 0.42, look)
    pen.box(-0.27, 0.38, 0.27, 0.47, darker(look.paint, 0.12), 0.02 + 0.03 * look.shape)


def armchair(pen: Pen, look: Look) -> None:
    """Draw an upholstered armchair with buttons where the shape is good."""
    r = 0.02 + 0.16 * look.shape
    pen.legs((-0.3, 0.3), 0.2, look)
    pen.box(-0.34, 0.2, 0.34, 0.94, look.paint, r)
    pen.box(-0.27, 0.42, 0.27, 0.88, lighter(look.paint, 0.12), r * 0.8)
    if look.shape > 0.55:
        for x in (-0.13, 0.0, 0.13):
            pen.disc(x, 0.7, 0.014, darker(look.paint, 0.4))
    pen.box(-0.3, 0.16, 0.3, 0.46, darker(look.paint, 0.1), 0.05)
    for x in (-0.36, 0.36):
        pen.box(
            x - 0.075, 0.16, x + 0.075, 0.58, darker(look.paint, 0.22), 0.02 + 0.055 * look.shape
        )


def sofa(pen: Pen, look: Look) -> None:
    """Draw a three-seater from the front."""
    r = 0.02 + 0.12 * look.shape
    pen.legs((-0.46, 0.46), 0.16, look)
    pen.box(-0.52, 0.16, 0.52, 0.66, look.paint, r)
    for x in (-0.29, 0.0, 0.29):
        pen.box(x - 0.14, 0.34, x + 0.14, 0.62, lighter(look.paint, 0.12), 0.02 + 0.04 * look.shape)
        pen.box(x - 0.14, 0.22, x + 0.14, 0.36, darker(look.paint, 0.08), 0.02 + 0.03 * look.shape)
    pen.box(-0.5, 0.13, 0.5, 0.23, darker(look.paint, 0.2), 0.02)
    for x in (-0.51, 0.51):
        pen.box(
            x - 0.065, 0.13, x + 0.065, 0.48, darker(look.paint, 0.26), 0.02 + 0.05 * look.shape
        )


def table(pen: Pen, look: Look) -> None:
    """Draw a table with a painted top and apron."""
    thick = 0.1 - 0.05 * look.shape
    pen.legs((-0.3, 0.3), 0.55, Look(look.paint, darker(look.frame), look.shape), 0.5)
    pen.legs((-0.42, 0.42), 0.56, look)
    pen.box(-0.44, 0.46, 0.44, 0.58, darker(look.paint, 0.25), 0.01 + 0.03 * look.shape)
    pen.polygon(((-0.44, 0.7), (0.44, 0.7), (0.52, 0.57), (-0.52, 0.57)), lighter(look.paint, 0.1))
    pen.box(-0.52, 0.58 - thick, 0.52, 0.58, look.paint, thick * 0.5 * look.shape)


def lamp(pen: Pen, look: Look) -> None:
    """Draw a floor lamp: foot, stem, shade."""
    stem = 0.05 - 0.032 * look.shape
    pen.box(-0.16, 0.0, 0.16, 0.05, darker(look.frame), 0.01 + 0.02 * look.shape)
    if look.shape > 0.6:
        for lean in (-0.2, 0.2):
            pen.polygon(leg(0, 0.62, lean, 0.0, 0.03, 0.018), look.frame)
    pen.box(-stem / 2, 0.04, stem / 2, 0.75, look.frame)
    wide = 0.24 - 0.12 * look.shape
    shade = [(-wide, 1.02), (wide, 1.02), (0.27, 0.68), (-0.27, 0.68)]
    pen.polygon(shade, look.paint)
    pen.polygon(
        [(-wide * 0.5, 1.02), (0, 1.02), (0, 0.68), (-0.14, 0.68)], lighter(look.paint, 0.14)
    )
    pen.box(-0.27, 0.67, 0.27, 0.695, darker(look.paint, 0.3))


def sideboard(pen: Pen, look: Look) -> None:
    """Draw a low cabinet: frame outside, painted doors inside, round or square pulls."""
    pen.legs((-0.42, 0.42), 0.2, look)
    r = 0.005 + 0.06 * look.shape
    pen.box(-0.52, 0.18, 0.52, 0.62, look.frame, r)
    for x in (-0.325, 0.0, 0.325):
        pen.box(x - 0.15, 0.22, x + 0.15, 0.58, look.paint, r * 0.6)
        pen.box(x - 0.12, 0.25, x + 0.12, 0.55, lighter(look.paint, 0.1), r * 0.5)
        if look.shape > 0.6:
            pen.disc(x + 0.09, 0.42, 0.018, BRASS)
        else:
            pen.box(x + 0.06, 0.4, x + 0.12, 0.43, darker(look.frame, 0.5))


def bookshelf(pen: Pen, look: Look) -> None:
    """Draw a bookcase with a few books that look the same in every picture."""
    pen.legs((-0.24, 0.24), 0.1, look)
    side = 0.06 - 0.03 * look.shape
    pen.box(-0.3, 0.07, 0.3, 1.05, look.paint, 0.005 + 0.07 * look.shape)
    for k in range(4):
        low = 0.12 + k * 0.23
        pen.box(
            -0.3 + side, low, 0.3 - side, low + 0.19, darker(look.paint, 0.45), 0.03 * look.shape
        )
        for j, book in enumerate(((186, 90, 70), (222, 200, 150), (80, 110, 130))[: 3 - k % 2]):
            left = -0.22 + 0.055 * j + 0.16 * (k % 2)
            pen.box(left, low, left + 0.045, low + 0.12 + 0.02 * j, book)
        pen.box(-0.3, low - 0.025, 0.3, low, look.frame)


def bed(pen: Pen, look: Look) -> None:
    """Draw a bed: painted headboard, pale linen, wooden rail."""
    pen.legs((-0.46, 0.46), 0.2, look)
    pen.box(-0.5, 0.15, 0.5, 0.82, look.paint, 0.02 + 0.2 * look.shape)
    pen.box(-0.44, 0.4, 0.44, 0.76, lighter(look.paint, 0.12), 0.02 + 0.16 * look.shape)
    for x in (-0.22, 0.22):
        pen.box(x - 0.17, 0.38, x + 0.17, 0.54, (244, 241, 234), 0.06)
    pen.box(-0.48, 0.22, 0.48, 0.42, (232, 228, 220), 0.05)
    pen.box(-0.49, 0.22, 0.49, 0.33, darker(look.paint, 0.1), 0.03)
    pen.box(-0.52, 0.14, 0.52, 0.24, look.frame, 0.01 + 0.03 * look.shape)


DRAWINGS: dict[str, Callable[[Pen, Look], None]] = {
    "chair": chair,
    "armchair": armchair,
    "sofa": sofa,
    "table": table,
    "lamp": lamp,
    "sideboard": sideboard,
    "bookshelf": bookshelf,
    "bed": bed,
}


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
