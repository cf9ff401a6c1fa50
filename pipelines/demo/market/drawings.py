"""Draw the furniture of the generated marketplace: polygons in an item's own coordinates.

x runs from -0.5 to 0.5, y upwards from the floor; a `Pen` turns and shifts them as one. No font and
no file is read, so a drawing depends on the item and the version of Pillow alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from deepfeast.pipelines.demo.market.colours import BRASS, Colour, darker, lighter

Points = Iterable[tuple[float, float]]


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
