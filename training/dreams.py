"""Pictures that a teacher dreams: bent, step by step, towards what its channels answer to.

A few photographs of rooms and gardens leave most of a teacher's channels silent: those for
animals, vehicles, tools. Climbing the gradient of some of them from any picture draws what
they have learnt to see (Mordvintsev, Olah and Tyka 2015, "Inceptionism"), and pictures drawn
out of a network teach another what that one knows (Yin et al. 2020, "Dreaming to Distill").
"""

from __future__ import annotations

import torch
from teacher import DIM, Teacher
from torch.nn import functional
from views import Dice

OCTAVES = ((96, 12), (144, 8), (224, 6))
"""Pixels along the side, and steps taken there: coarse shapes first, then what is fine."""


def dream(pictures: torch.Tensor, teacher: Teacher, dice: Dice) -> torch.Tensor:
    """Bend pictures (n, 3, side, side) of values 0 to 255 towards random channels.

    Each has one to four channels of the teacher's last map to excite, all over the picture
    or in one part of it. Returns float32 of the shape given.
    """
    n, side = len(pictures), pictures.shape[-1]
    wanted = torch.zeros(n, DIM, device=dice.device)
    for channel in range(4):
        sure = 1.0 if channel == 0 else dice.chance(0.5, n)[:, None]
        wanted.scatter_add_(1, dice.below(DIM, n, 1), sure * torch.ones_like(wanted[:, :1]))
    focus = torch.sigmoid(3 * dice.smooth(n, 1, 3, 7))
    rate = torch.exp(dice.uniform(n, 1, 1, 1, low=0.0, high=1.5))
    for size, steps in OCTAVES:
        pictures = functional.interpolate(
            pictures, (size, size), mode="bilinear", antialias=True, align_corners=False
        )
        for _ in range(steps):
            pictures = _step(pictures, teacher, wanted, focus, rate, dice)
    return functional.interpolate(
        pictures, (side, side), mode="bilinear", antialias=True, align_corners=False
    )


def _step(
    pictures: torch.Tensor,
    teacher: Teacher,
    wanted: torch.Tensor,
    focus: torch.Tensor,
    rate: torch.Tensor,
    dice: Dice,
) -> torch.Tensor:
    # Shifted by some pixels each time, lest the teacher's grid of cells shows.
    down, right = dice.host.randrange(32), dice.host.randrange(32)
    shifted = pictures.roll((down, right), (2, 3)).requires_grad_()
    with torch.enable_grad():
        # Before the ReLU: a channel that is silent has a slope there too.
        last = teacher.network.last[0](teacher.network(teacher.scaled(shifted))[1]).float()
        last = last.clamp(max=6)
        where = functional.interpolate(focus, last.shape[2:], mode="bilinear", align_corners=False)
        # A scale at which half precision neither overflows nor vanishes.
        joy = (last * where).mean((2, 3)) * wanted
        (slope,) = torch.autograd.grad(joy.sum() * 100, shifted)
    slope = slope.float()
    # Fine detail excites most easily, and means least: only coarser slopes count.
    coarse = functional.avg_pool2d(slope, 3, 1, 1)
    coarser = functional.avg_pool2d(coarse, 7, 1, 3)
    slope = _levelled(coarse) + _levelled(coarser)
    bent = shifted.detach() + rate * slope
    return bent.clamp(0, 255).roll((-down, -right), (2, 3))


def _levelled(slope: torch.Tensor) -> torch.Tensor:
    return slope / slope.std((1, 2, 3), keepdim=True).clamp(min=1e-9)
