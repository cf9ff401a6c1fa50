"""The colours of the generated marketplace: of paint and wood, metal and rooms."""

from __future__ import annotations

Colour = tuple[int, int, int]

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
