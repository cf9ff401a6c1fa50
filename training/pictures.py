"""Pictures drawn by hand-written rules: leaves, things, patterns, words, solids.

Images made by simple random processes carry much of the variety that a few photographs lack
(Baradad et al. 2021, "Learning to See by Looking at Noise"). Every function here draws one
picture of 256 x 256 pixels from a random generator and a list of photographs, which serve as
textures and backgrounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

SIDE = 256
"""Pixels along a drawn picture: what the teacher's own preprocessing resizes to."""

Rng = np.random.Generator
Photos = Sequence[Image.Image]
Kind = Callable[[Rng, Photos], Image.Image]


def draw(rng: Rng, photos: Photos) -> Image.Image:
    """Draw one picture of a random kind.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything: the same state gives the same picture.
    photos : sequence of PIL.Image
        RGB photographs to crop from; at least one.

    Returns
    -------
    PIL.Image of 256 x 256 pixels, RGB

    Examples
    --------
    >>> grey = Image.new("RGB", (300, 240), "grey")
    >>> draw(np.random.default_rng(0), [grey]).size
    (256, 256)
    """
    return KINDS[rng.choice(len(KINDS), p=WEIGHTS)][0](rng, photos)


def leaves(rng: Rng, photos: Photos) -> Image.Image:
    """Dead leaves: opaque shapes of falling size, flat, shaded or with a texture."""
    canvas = _texture(rng, photos)
    palette = _palette(rng)
    count = int(rng.integers(8, 30))
    for size in np.sort(rng.pareto(1.5, count) * 20 + 10)[::-1]:
        side = int(min(size, 200))
        fill = _fill(rng, photos, side, palette)
        x, y = (int(v) for v in rng.integers(-side // 2, SIDE - side // 2, 2))
        canvas.paste(fill, (x, y), _silhouette(rng, side))
    return canvas


def thing(rng: Rng, photos: Photos) -> Image.Image:
    """One object, symmetric at times, with its shadow, before a background."""
    canvas = _texture(rng, photos) if rng.random() < 0.6 else _backdrop(rng, photos)
    for _ in range(1 + int(rng.random() < 0.25) * int(rng.integers(1, 4))):
        side = int(rng.integers(70, 230))
        mask = _silhouette(rng, side)
        if rng.random() < 0.6:
            mask = ImageChops.lighter(mask, mask.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        body = _shaded(rng, _fill(rng, photos, side, _palette(rng)))
        spare = SIDE - side
        x, y = (int(spare * np.clip(rng.normal(0.5, 0.25), -0.2, 1.2)) for _ in range(2))
        if rng.random() < 0.6:
            shadow = mask.filter(ImageFilter.GaussianBlur(5)).point(lambda v: v // 2)
            canvas.paste(
                (0, 0, 0), (x + int(rng.integers(-12, 12)), y + int(rng.integers(0, 14))), shadow
            )
        canvas.paste(body, (x, y), mask)
    return canvas


def clouds(rng: Rng, photos: Photos) -> Image.Image:
    """Noise with the spectrum of natural images, 1/f to a random power, coloured."""
    side = SIDE // int(rng.choice([1, 2, 2, 4]))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    stretch = np.hypot(
        np.fft.fftfreq(side)[:, None] * rng.uniform(0.3, 3), np.fft.rfftfreq(side)[None]
    )
    scale = 1 / np.maximum(stretch if rng.random() < 0.5 else frequency, 1 / side)
    scale = scale ** rng.uniform(0.7, 2.2)
    phase = rng.standard_normal((3, side, side // 2 + 1)) * scale
    turn = np.exp(2j * np.pi * rng.random((3, side, side // 2 + 1)))
    field = np.fft.irfft2(phase * turn, (side, side)).transpose(1, 2, 0)
    field = field / (field.std((0, 1)) + 1e-6)
    return _coloured(rng, field)


def waves(rng: Rng, photos: Photos) -> Image.Image:
    """Random sums and nestings of sines of the coordinates: smooth, banded or busy."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j].astype(np.float32)
    fields = [x, y, np.hypot(x - rng.normal() / 2, y - rng.normal() / 2)]
    for _ in range(int(rng.integers(2, 7))):
        a, b = (fields[rng.integers(len(fields))] for _ in range(2))
        bent = np.sin(a * rng.uniform(1, 12) + b * rng.normal() * 5 + rng.uniform(0, 6.3))
        if rng.random() < 0.2:
            bent = np.sign(bent)
        fields.append(bent * (b if rng.random() < 0.3 else 1))
    return _coloured(rng, np.stack([fields[-1 - i % len(fields)] for i in range(3)], 2))


def stripes(rng: Rng, photos: Photos) -> Image.Image:
    """Stripes, checks, bricks and dots, seen at a slant: fabrics, floors, walls."""
    y, x = np.mgrid[-1:1:256j, -1:1:256j].astype(np.float32)
    turn, tilt = rng.uniform(0, np.pi), rng.uniform(-0.45, 0.45) * (rng.random() < 0.6)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    depth = 1 + tilt * (x * rng.normal() + y * rng.normal()).clip(-1.5, 1.5)
    u, v = u / depth * rng.uniform(2, 16), v / depth * rng.uniform(2, 16)
    style, edge = rng.integers(5), rng.uniform(0.03, 0.5)
    if style == 0:
        mask = u % 1 < edge
    elif style == 1:
        mask = (np.floor(u) + np.floor(v)) % 2 > 0
    elif style == 2:
        mask = (v % 1 < edge / 4) | ((u + 0.5 * (np.floor(v) % 2)) % 1 < edge / 4)
    elif style == 3:
        mask = np.hypot(u % 1 - 0.5, v % 1 - 0.5) < edge
    else:
        mask = (u % 1 < edge / 2) | (v % 1 < edge / 2)
    front, back = _texture(rng, photos), _texture(rng, photos)
    return Image.composite(front, back, Image.fromarray((mask * 255).astype(np.uint8)))


def words(rng: Rng, photos: Photos) -> Image.Image:
    """Lines of text: pages, signs and captions."""
    canvas = _texture(rng, photos) if rng.random() < 0.7 else _backdrop(rng, photos)
    pen, letters = (
        ImageDraw.Draw(canvas),
        np.array(list("abcdefghijklmnopqrstuvwxyzAEORST0123459.,- ")),
    )
    size = int(rng.choice([10, 12, 14, 18, 24, 36, 60, 100]))
    font = ImageFont.load_default(size)
    x, y, ink = int(rng.integers(-10, 80)), int(rng.integers(-5, 60)), _colour(rng)
    if rng.random() < 0.5:
        r, g, b = np.asarray(canvas)[128, 128].tolist()
        ink = (255 - r, 255 - g, 255 - b)
    for line in range(int(rng.integers(1, 16))):
        text = "".join(rng.choice(letters, int(rng.integers(2, 40))))
        pen.text((x, y + line * size * 1.25), text, fill=ink, font=font)
    return (
        canvas.rotate(float(rng.normal(0, 12)), Image.Resampling.BILINEAR)
        if rng.random() < 0.3
        else canvas
    )


def solids(rng: Rng, photos: Photos) -> Image.Image:
    """Lit balls and boxes on a floor under a sky."""
    canvas, horizon = _texture(rng, photos), int(rng.integers(60, 220))
    floor = _texture(rng, photos)
    canvas.paste(floor.crop((0, horizon, SIDE, SIDE)), (0, horizon))
    light = np.array([rng.uniform(-1, 1), rng.uniform(-1, 0.2), rng.uniform(0.3, 1)])
    light /= np.linalg.norm(light)
    for _ in range(int(rng.integers(1, 7))):
        side = int(rng.integers(25, 140))
        x, y = (
            int(rng.integers(-20, SIDE - side // 2)),
            int(rng.integers(horizon - side, SIDE - side // 2)),
        )
        (_ball if rng.random() < 0.5 else _box)(rng, canvas, x, y, side, light)
    return canvas


def scribbles(rng: Rng, photos: Photos) -> Image.Image:
    """Lines, curves and outlines: drawings, branches, diagrams."""
    canvas = _texture(rng, photos)
    pen, palette = ImageDraw.Draw(canvas), _palette(rng)
    thin, steps = rng.random() < 0.5, int(rng.integers(2, 30))
    for _ in range(int(rng.integers(3, 40))):
        ink = palette[rng.integers(len(palette))]
        width = int(rng.integers(1, 4 if thin else 16))
        walk = rng.uniform(0, SIDE, 2) + np.cumsum(rng.normal(0, 120 / steps, (steps, 2)), 0)
        if rng.random() < 0.7:
            pen.line([tuple(p) for p in walk], fill=ink, width=width, joint="curve")
        else:
            (x0, y0), (x1, y1) = walk.min(0), walk.max(0)
            (pen.ellipse if rng.random() < 0.5 else pen.rectangle)(
                (x0, y0, x1, y1), outline=ink, width=width
            )
    return canvas


KINDS: list[tuple[Kind, float]] = [
    (leaves, 0.20),
    (thing, 0.28),
    (clouds, 0.05),
    (waves, 0.04),
    (stripes, 0.09),
    (words, 0.10),
    (solids, 0.14),
    (scribbles, 0.10),
]
"""Each kind and the share of the pictures that it makes."""
WEIGHTS = [share for _, share in KINDS]


def _pick(rng: Rng, photos: Photos) -> Image.Image:
    return photos[int(rng.integers(len(photos)))]


def _backdrop(rng: Rng, photos: Photos) -> Image.Image:
    return _crop(rng, _pick(rng, photos), SIDE, float(rng.uniform(0.1, 1.0)))


def _flipped(rng: Rng, picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else picture


def _crop(rng: Rng, photo: Image.Image, side: int, area: float) -> Image.Image:
    width, height = photo.size
    edge = min(width, height) * np.sqrt(area)
    aspect = np.exp(rng.uniform(-0.3, 0.3))
    wide, tall = min(edge * aspect, width), min(edge / aspect, height)
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - tall)
    box = (left, top, left + wide, top + tall)
    if rng.random() < 0.2:
        photo = photo.rotate(float(rng.normal(0, 20)), Image.Resampling.BILINEAR)
    return _flipped(rng, photo.resize((side, side), Image.Resampling.BILINEAR, box))


def _colour(rng: Rng) -> tuple[int, int, int]:
    vivid = rng.uniform(0, 255, 3)
    # Mostly muted, as paints, woods and fabrics are.
    r, g, b = (int(v) for v in vivid.mean() + (vivid - vivid.mean()) * rng.beta(1, 1.2))
    return r, g, b


def _palette(rng: Rng) -> list[tuple[int, int, int]]:
    base, spread = rng.uniform(0, 255, 3), rng.uniform(10, 120)
    colours = np.clip(base + rng.normal(0, spread, (6, 3)), 0, 255)
    return [(int(r), int(g), int(b)) for r, g, b in colours]


def _gradient(rng: Rng) -> Image.Image:
    """Four corner colours, blended."""
    corners = np.clip(rng.uniform(0, 255, 3) + rng.normal(0, 50, (2, 2, 3)), 0, 255)
    return Image.fromarray(corners.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _texture(rng: Rng, photos: Photos) -> Image.Image:
    choice = rng.random()
    if choice < 0.2:
        return Image.new("RGB", (SIDE, SIDE), _colour(rng))
    if choice < 0.3:
        # Pale paper and studio backgrounds: frequent in real catalogues.
        return Image.new("RGB", (SIDE, SIDE), tuple(int(v) for v in rng.integers(215, 256, 3)))
    if choice < 0.6:
        return _gradient(rng)
    if choice < 0.75:
        return clouds(rng, photos)
    if choice < 0.85:
        return waves(rng, photos)
    return _crop(rng, _pick(rng, photos), SIDE, float(rng.uniform(0.02, 0.2)))


def _fill(rng: Rng, photos: Photos, side: int, palette: list) -> Image.Image:
    if rng.random() < 0.5:
        return Image.new("RGB", (side, side), palette[rng.integers(len(palette))])
    return _texture(rng, photos).resize((side, side), Image.Resampling.BILINEAR)


def _silhouette(rng: Rng, side: int) -> Image.Image:
    """Draw a mask: ellipse, box, polygon, or a smooth closed blob."""
    mask = Image.new("L", (side, side))
    pen, style = ImageDraw.Draw(mask), rng.integers(4)
    if style == 0:
        squeeze = side * rng.uniform(0, 0.35)
        pen.ellipse((squeeze, 0, side - squeeze, side), fill=255)
    elif style == 1:
        a, b = side * rng.uniform(0, 0.4, 2)
        pen.rounded_rectangle((a, b, side - a, side - b), side * rng.uniform(0, 0.15), fill=255)
    elif style == 2:
        turn = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        radius = side / 2 * rng.uniform(0.5, 1, turn.size)
        pen.polygon(_around(turn, radius, side), fill=255)
    else:
        turn = np.linspace(0, 2 * np.pi, 60)
        waves = sum(
            rng.normal(0, 0.35 / k) * np.cos(k * turn + rng.uniform(0, 6.3)) for k in range(1, 9)
        )
        radius = side * 0.35 * np.clip(1 + waves, 0.15, 1.4)
        pen.polygon(_around(turn, radius, side), fill=255)
    return mask.rotate(float(rng.uniform(0, 360))) if rng.random() < 0.4 else mask


def _around(turn: np.ndarray, radius: np.ndarray, side: int) -> list[tuple[float, float]]:
    x, y = side / 2 + radius * np.cos(turn), side / 2 + radius * np.sin(turn)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _shaded(rng: Rng, body: Image.Image) -> Image.Image:
    """Light from one side, so that a flat shape looks solid."""
    if rng.random() < 0.4:
        return body
    ramp = np.linspace(rng.uniform(0.35, 1), rng.uniform(0.7, 1.3), body.size[0])
    pixels = np.asarray(body, np.float32) * (
        ramp[None, :, None] if rng.random() < 0.5 else ramp[:, None, None]
    )
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _coloured(rng: Rng, field: np.ndarray) -> Image.Image:
    """Three centred fields through a random colour mixing, to a picture."""
    mix = rng.normal(0, rng.uniform(10, 60), (3, 3)) + rng.normal(0, 40, (3, 1)) * (
        np.arange(3)[:, None] == 0
    )
    pixels = rng.uniform(40, 215, 3) + field @ mix
    small = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return small.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def _ball(rng: Rng, canvas: Image.Image, x: int, y: int, side: int, light: np.ndarray) -> None:
    v, u = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    w = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
    lit = np.clip(u * light[0] + v * light[1] + w * light[2], 0, 1)
    shine = rng.uniform(0, 200) * lit ** rng.uniform(8, 60)
    pixels = np.array(_colour(rng)) * (0.2 + 0.8 * lit[..., None]) + shine[..., None]
    shadow = Image.new("L", (side, side // 3))
    ImageDraw.Draw(shadow).ellipse((0, 0, side, side // 3), fill=110)
    canvas.paste((0, 0, 0), (x - int(light[0] * side / 4), y + side - side // 5), shadow)
    mask = Image.fromarray(((u**2 + v**2 < 1) * 255).astype(np.uint8))
    canvas.paste(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), (x, y), mask)


def _box(rng: Rng, canvas: Image.Image, x: int, y: int, side: int, light: np.ndarray) -> None:
    colour, tall = np.array(_colour(rng)), side * rng.uniform(0.4, 1.4)
    dx, dy = side * rng.uniform(-0.5, 0.5), -side * rng.uniform(0.1, 0.4)
    x0, y0, x1, y1 = x, y + side - tall, x + side * rng.uniform(0.4, 1), y + side
    near = x1 if dx > 0 else x0
    faces = [
        ([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], 0.25 + 0.75 * max(light[2], 0)),
        (
            [(x0, y0), (x1, y0), (x1 + dx, y0 + dy), (x0 + dx, y0 + dy)],
            0.25 + 0.75 * max(-light[1], 0),
        ),
        (
            [(near, y0), (near, y1), (near + dx, y1 + dy), (near + dx, y0 + dy)],
            0.25 + 0.75 * abs(light[0]),
        ),
    ]
    pen = ImageDraw.Draw(canvas)
    for corners, lit in faces:
        pen.polygon(corners, fill=tuple(int(v) for v in np.clip(colour * lit, 0, 255)))
