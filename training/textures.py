"""Pictures from random formulas and random networks: any number, on any device.

Images of no thing at all teach a network to see, if they are varied and their statistics
are near those of photographs (Baradad et al. 2021, "Learning to See by Looking at Noise").
"""

from __future__ import annotations

import torch
from pictures import SIDE
from torch.nn import functional
from views import Dice


def textures(n: int, dice: Dice) -> torch.Tensor:
    """Draw n pictures, a third of each kind: uint8 (n, 3, 256, 256)."""
    kinds = (formulas, random_networks, fractals)
    counts = [n // 3 + (number < n % 3) for number in range(3)]
    return torch.cat(
        [kind(count, dice) for kind, count in zip(kinds, counts, strict=True) if count]
    )


def formulas(n: int, dice: Dice) -> torch.Tensor:
    """Random small networks of the coordinates (Stanley 2007, "Compositional pattern
    producing networks"): smooth, banded or busy, symmetrical at times.
    """
    side, width = SIDE // 2, 16
    line = torch.linspace(-1, 1, side, device=dice.device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack([x.flatten(), y.flatten(), torch.hypot(x, y).flatten(), x.flatten().abs()])
    values = points.expand(n, 4, -1)
    scale = torch.exp(dice.uniform(n, 1, 1, low=0.0, high=2.5))
    for layer in range(4):
        weights = dice.normal(n, width, values.shape[1]) * (scale if layer == 0 else 1.2)
        values = weights @ values / values.shape[1] ** 0.5 + dice.normal(n, width, 1)
        quarter = width // 4
        values = torch.cat(
            [
                torch.sin(2 * values[:, :quarter]),
                torch.tanh(values[:, quarter : 2 * quarter] * 3),
                torch.exp(-(values[:, 2 * quarter : 3 * quarter] ** 2)),
                values[:, 3 * quarter :].abs(),
            ],
            1,
        )
    colours = (dice.normal(n, 3, width) @ values).view(n, 3, side, side)
    return _pictures(colours, dice)


def random_networks(n: int, dice: Dice) -> torch.Tensor:
    """Noise grown through convolutions with random weights, coarse to fine."""
    width = 24
    grown = dice.normal(n, width, 4, 4)
    fineness = torch.exp(dice.uniform(n, 1, 1, 1, low=-2.0, high=1.0))
    while grown.shape[-1] < SIDE:
        grown = functional.interpolate(grown, scale_factor=2, mode="bilinear", align_corners=False)
        weights = dice.normal(n * width, width, 3, 3) / (9 * width) ** 0.5
        padded = functional.pad(grown, (1, 1, 1, 1), mode="circular").flatten(0, 1)[None]
        grown = functional.conv2d(padded, weights, groups=n).view_as(grown)
        # Less is added the finer it gets, as in photographs.
        loud = torch.exp(dice.normal(n, width, 1, 1)) * 8 / grown.shape[-1] * fineness
        grown = grown + loud * dice.normal(*grown.shape)
        grown = functional.leaky_relu(grown + 0.5 * dice.normal(n, width, 1, 1), 0.2)
        grown = grown / grown.std((2, 3), keepdim=True).clamp(min=1e-3)
    mixed = (dice.normal(n, 3, width) @ grown.flatten(2)).view(n, 3, *grown.shape[2:])
    return _pictures(mixed, dice)


def fractals(n: int, dice: Dice) -> torch.Tensor:
    """Points of random iterated affine maps (Kataoka et al. 2020, "Pre-training without
    Natural Images"), over a smooth ground.
    """
    maps, chains, steps = 4, 4096, 40
    turns = dice.uniform(n, maps, 2, high=6.3)
    sizes = dice.uniform(n, maps, 2, low=0.25, high=0.85)
    a, b = turns.unbind(-1)
    first = torch.stack([a.cos(), -a.sin(), a.sin(), a.cos()], -1).view(n, maps, 2, 2)
    second = torch.stack([b.cos(), -b.sin(), b.sin(), b.cos()], -1).view(n, maps, 2, 2)
    matrices = first @ torch.diag_embed(sizes) @ second
    shifts = 0.8 * dice.normal(n, maps, 2)
    points, rows = dice.normal(n, chains, 2), torch.arange(n, device=dice.device)[:, None]
    counts = torch.zeros(n, 3, SIDE * SIDE, device=dice.device)
    tint = dice.uniform(n, maps, 3)
    centre = spread = torch.zeros((), device=dice.device)
    for step in range(steps):
        choice = dice.below(maps, n, chains)
        points = (matrices[rows, choice] @ points[..., None])[..., 0] + shifts[rows, choice]
        if step == 8:
            centre, spread = points.mean(1, keepdim=True), 2.2 * points.std(1, keepdim=True) + 1e-3
        if step > 8:
            place = ((points - centre) / spread * 0.5 + 0.5) * SIDE
            inside = ((place >= 0) & (place < SIDE)).all(-1)
            cell = place.clamp(0, SIDE - 1).long()
            index = cell[..., 1] * SIDE + cell[..., 0]
            for channel in range(3):
                ink = tint[rows, choice, channel] * inside
                counts[:, channel].scatter_add_(1, index, ink)
    dense = torch.log1p(counts).view(n, 3, SIDE, SIDE)
    dense = dense / dense.amax((1, 2, 3), keepdim=True).clamp(min=1e-3)
    ground = dice.smooth(n, 3, 4, SIDE) * 25 + 255 * dice.uniform(n, 3, 1, 1)
    ink = 255 * dice.uniform(n, 3, 1, 1)
    cover = (2.5 * dense).clamp(0, 1)
    return (ground + cover * (ink + 120 * (dense - 0.5) - ground)).clamp(0, 255).byte()


def _pictures(fields: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Bring any fields (n, 3, side, side) to pictures of random brightness and contrast."""
    n = len(fields)
    fields = fields - fields.mean((2, 3), keepdim=True)
    fields = fields / fields.std((1, 2, 3), keepdim=True).clamp(min=1e-3)
    level = 128 + 45 * dice.normal(n, 3, 1, 1)
    bright = level + dice.uniform(n, 1, 1, 1, low=15, high=80) * fields
    large = functional.interpolate(bright, (SIDE, SIDE), mode="bilinear", align_corners=False)
    return large.clamp(0, 255).byte()
