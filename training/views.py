"""Views: random crops of stored pictures, bent, laid over each other and recoloured.

Few photographs teach a small network little about the world beyond them. Heavy crops and
changes of a few carry much of the variety that is missing, and a teacher can label all of
them (Asano and Saeed 2021, "The Augmented Image Prior"), the more the better if teacher and
student see the very same view (Beyer et al. 2022, "Knowledge distillation: A good teacher is
patient and consistent"). Everything here works on a whole batch, on any device.
"""

from __future__ import annotations

import math
import random

import torch
from teacher import SIDE
from torch.nn import functional

from deepfeast.transforms.encoders.image import tiny


class Dice:
    """Random tensors of a seeded generator on a device.

    Parameters
    ----------
    device : str
        Where the tensors lie.
    seed : int
        The same seed and device give the same numbers.
    """

    def __init__(self, device: str, seed: int) -> None:
        self.device = device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.host = random.Random(seed)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        values = torch.rand(shape, generator=self.generator, device=self.device)
        return low + (high - low) * values

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)

    def below(self, bound: int, *shape: int) -> torch.Tensor:
        return torch.randint(bound, shape, generator=self.generator, device=self.device)

    def chance(self, share: float, n: int) -> torch.Tensor:
        """Mark about ``share`` of n rows, as 0 or 1."""
        return (self.uniform(n) < share).float()

    def smooth(self, n: int, channels: int, cells: int, side: int) -> torch.Tensor:
        """Noise (n, channels, side, side) that varies from cell to cell, gradually."""
        noise = self.normal(n, channels, cells, cells)
        return functional.interpolate(noise, (side, side), mode="bicubic", align_corners=False)


def draw_views(stored: torch.Tensor, aspect: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Make one view of each stored picture.

    Parameters
    ----------
    stored : uint8 tensor of shape (n, 3, side, side)
        Pictures, squeezed to a square.
    aspect : float tensor of shape (n,)
        Width over height of each before it was squeezed.
    dice : Dice
        Decides everything.

    Returns
    -------
    float32 tensor of shape (n, 3, 224, 224)
        Values 0 to 255: what the teacher sees.
    """
    views = crops(stored, aspect, dice)
    views = laid_over(views, dice)
    return altered(views, dice)


def student_view(views: torch.Tensor) -> torch.Tensor:
    """Shrink views to the student's scale: the same field, (n, 3, 128, 128), scaled."""
    small = functional.interpolate(
        views, (tiny.SIZE, tiny.SIZE), mode="bilinear", antialias=True, align_corners=False
    )
    return (small / 255 - tiny.MEAN[0]) / tiny.STD[0]


def crops(stored: torch.Tensor, aspect: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Cut a square out of each: a third nearly whole, the others from all of it to a tenth."""
    n, whole = len(stored), dice.chance(0.35, len(stored))
    edge = torch.where(
        whole > 0,
        dice.uniform(n, low=0.9, high=1.0),
        dice.uniform(n, low=math.log(0.08), high=0.0).exp().sqrt(),
    )
    stretch = torch.exp(0.25 * dice.normal(n).clamp(-1.5, 1.5) * (1 - whole))
    wide = (edge * stretch / aspect.clamp(min=1)).clamp(max=1)
    tall = (edge / stretch * aspect.clamp(max=1)).clamp(max=1)
    # Around the centre where nearly all is kept, as the preprocessing of a user's photo does.
    middle = torch.where(
        whole > 0, 0.3 * dice.normal(n, 2).T.clamp(-3, 3), 2 * dice.uniform(2, n) - 1
    )
    size = torch.stack([wide, tall])
    centre = (1 - size) * middle

    line = torch.linspace(-1, 1, SIDE, device=stored.device) * (1 - 1 / SIDE)
    base = torch.stack(torch.meshgrid(line, line, indexing="xy")).expand(n, 2, SIDE, SIDE)
    # Some are mirrored upon themselves, as many things and faces are; some are bent.
    mirrored = dice.chance(0.06, n)[:, None, None]
    x = torch.where(mirrored > 0, base[:, 0].abs(), base[:, 0])
    base = torch.stack([x, base[:, 1]], 1)
    bend = dice.chance(0.3, n) * dice.uniform(n, high=0.1)
    cells = dice.host.randint(3, 6)
    base = base + bend[:, None, None, None] * dice.smooth(n, 2, cells, SIDE)
    turn = dice.normal(n) * 0.35 * dice.chance(0.25, n)
    cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None]
    x = base[:, 0] * cos - base[:, 1] * sin
    y = base[:, 0] * sin + base[:, 1] * cos
    flip = (2 * dice.chance(0.5, n) - 1)[:, None, None]
    grid = torch.stack([x * flip, y], 3) * size.T[:, None, None] + centre.T[:, None, None]
    return functional.grid_sample(
        stored.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def laid_over(views: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Put a piece of another view of the batch into some: a box, a disc, a blob; or blend.

    Pieces of pictures over pictures are dead leaves cut from photographs.
    """
    n, side = len(views), views.shape[-1]
    line = torch.linspace(-1, 1, side, device=views.device)
    centre = 0.5 * dice.normal(2, n, 1, 1)
    size = dice.uniform(2, n, 1, 1, low=0.25, high=0.9)
    across = ((line[None, None] - centre[0]) / size[0]).abs()
    down = ((line[None, :, None] - centre[1]) / size[1]).abs()
    boxed = dice.chance(0.35, n)[:, None, None]
    distance = torch.where(boxed > 0, torch.maximum(across, down), (across**2 + down**2).sqrt())
    cells = dice.host.randint(3, 8)
    rough = dice.smooth(n, 1, cells, side)[:, 0] * (1 - boxed) * dice.uniform(n, 1, 1)
    softness = torch.exp(dice.uniform(n, 1, 1, low=-4.5, high=-1.5))
    mask = torch.sigmoid((1 - distance + rough) / softness)
    blend = dice.uniform(n, 1, 1, low=0.15, high=0.5).expand_as(mask)
    mask = torch.where(dice.chance(0.25, n)[:, None, None] > 0, blend, mask)
    mask = (mask * dice.chance(0.4, n)[:, None, None])[:, None]
    return views + mask * (views.roll(1, 0) - views)


def altered(views: torch.Tensor, dice: Dice) -> torch.Tensor:
    """Change colours, sharpness and noise; three in ten stay as they are."""
    n = len(views)
    changed = dice.chance(0.6, n)
    strength = dice.uniform(n, low=0.05, high=0.5) * changed
    eye = torch.eye(3, device=views.device)
    grey = torch.full((3, 3), 1 / 3, device=views.device)
    pale = (strength * dice.normal(n)).clamp(-1, 1)
    pale = torch.where(changed * dice.chance(0.12, n) > 0, 1.0, pale)[:, None, None]
    mix = (1 - pale) * eye + pale * grey
    mix = mix + dice.normal(n, 3, 3) * (strength / 4)[:, None, None]
    shuffled = (changed * dice.chance(0.06, n))[:, None, None]
    mix = torch.where(shuffled > 0, mix.roll(1, 1), mix)
    contrast = torch.exp(0.8 * strength * dice.normal(n).clamp(-2, 2))
    contrast = contrast * (1 - 2 * changed * dice.chance(0.05, n))
    mean = views.mean((2, 3), keepdim=True)
    turned = (mix * contrast[:, None, None]) @ (views - mean).flatten(2)
    shift = mix @ mean.flatten(2) + (60 * strength * dice.normal(n))[:, None, None]
    views = (turned + shift).view_as(views).clamp(0, 255)
    gamma = torch.exp(0.4 * dice.normal(n) * changed * dice.chance(0.4, n))[:, None, None, None]
    views = 255 * (views / 255 + 1e-4) ** gamma
    blurred = functional.avg_pool2d(functional.pad(views, (3, 3, 3, 3), mode="reflect"), 7, 1)
    # Below zero it sharpens.
    soft = dice.uniform(n, low=-0.6, high=0.8) * dice.chance(0.3, n)
    views = views + soft[:, None, None, None] * (blurred - views)
    noise = dice.uniform(n, low=2, high=25) * changed * dice.chance(0.15, n)
    views = views + noise[:, None, None, None] * dice.normal(*views.shape)
    return views.clamp(0, 255)
