"""``image-tiny``: the small image network that comes with the package.

It was distilled from a MobileNetV2 (``weights/image_tiny.md`` says on what and how well), so
that images have an encoder where no model hub can be reached. Only convolutions, ReLU, sums
and one mean: any engine runs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

RESIZE = 146
"""Shortest side, in pixels, to which a picture is resized (bilinear, antialiased)."""
SIZE = 128
"""Side of the centre crop that the network sees."""
MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)
"""The network takes RGB as ``(pixel / 255 - MEAN) / STD``, shape (n, 3, SIZE, SIZE)."""
DIM = 640
"""The means of 512 channels of the last map, then of 128 of the map of 8 x 8 cells.

The last tell what is there; the earlier keep colour, texture and count, which the last give up.
"""

# Channels, and how many residual blocks of which expansion follow, at each halving of the
# side. Only the convolutions
# that halve it are dense 3 x 3.
_STAGES = ((16, 0, 0), (32, 0, 0), (64, 2, 3), (128, 3, 3), (256, 2, 2))
_EARLY = 128
_LATE = DIM - _EARLY
# The two maps that are read leak a little below zero. With plain ReLU a channel can be silent
# on all pictures that a model is trained on and speak on one that comes later: standardised,
# that is an outlier of thousands of deviations, and linear models break.
_LEAK = 0.1


def network(*, batch_norm: bool = False) -> nn.Module:
    """Build the network, its weights at random: 1.4 M parameters, 0.13 GFLOP a picture.

    Parameters
    ----------
    batch_norm : bool
        Keep normalisation after each convolution, as training needs it. The shipped
        weights have it folded in.

    Returns
    -------
    torch.nn.Sequential
        From (n, 3, 128, 128) float32 to (n, 640) float32. Its first item alone gives the
        last feature map (n, 512, 4, 4).

    Examples
    --------
    >>> import torch
    >>> network().eval()(torch.zeros(2, 3, SIZE, SIZE)).shape
    torch.Size([2, 640])
    """
    import torch
    from torch import nn

    def conv(given: int, made: int, side: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
        layer = nn.Conv2d(given, made, side, stride, side // 2, groups=groups, bias=not batch_norm)
        return [layer, nn.BatchNorm2d(made)] if batch_norm else [layer]

    class Residual(nn.Module):
        """Widen, look around in each channel, narrow, and add what came in."""

        def __init__(self, channels: int, expansion: int, read: bool) -> None:
            super().__init__()
            wide = channels * expansion
            self.body = nn.Sequential(
                *conv(channels, wide, 1),
                nn.ReLU(),
                *conv(wide, wide, 3, groups=wide),
                nn.ReLU(),
                *conv(wide, channels, 1),
            )
            self.last = nn.LeakyReLU(_LEAK) if read else nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(x + self.body(x))

    class Pooled(nn.Sequential):
        """The mean of the trunk's last map, and that of the map after layer ``early``."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for number, layer in enumerate(self[0].children()):
                x = layer(x)
                if number == early:
                    seen = x
            return torch.cat([x.mean((2, 3)), seen.mean((2, 3))], 1)

    layers: list[nn.Module] = []
    given, early = 3, 0
    for channels, blocks, expansion in _STAGES:
        layers += [*conv(given, channels, 3, stride=2), nn.ReLU()]
        for left in reversed(range(blocks)):
            read = channels == _EARLY and left == 0
            layers.append(Residual(channels, expansion, read))
            early = len(layers) - 1 if read else early
        given = channels
    trunk = nn.Sequential(*layers, *conv(given, _LATE, 1), nn.LeakyReLU(_LEAK))
    return Pooled(trunk)


def untrained_network(seed: int = 0) -> nn.Module:
    """Build the network with random weights of a fixed seed, for comparison."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = network()
        for layer in made.modules():
            if isinstance(layer, torch.nn.Conv2d):
                # Keeps the size of activations through ReLU, whatever the depth.
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return made.eval()


def trained_network() -> nn.Module:
    """Build the network with the shipped weights, float32, in evaluation mode.

    Raises
    ------
    FileNotFoundError
        If the weights are not installed; see `weights_path`.
    """
    from safetensors.torch import load_file

    made = network()
    state = load_file(str(weights_path()))
    made.load_state_dict({name: values.float() for name, values in state.items()})
    return made.eval()


def weights_path() -> Path:
    """Find the shipped weights: float16 safetensors, at most 3 MB.

    Raises
    ------
    FileNotFoundError
        If they are missing; it says where they were looked for.
    """
    path = Path(__file__).parent / "weights" / "image_tiny.safetensors"
    if not path.exists():
        raise FileNotFoundError(
            f"no weights of image-tiny at {path}: reinstall deepfeast, "
            "or train them with training/tiny_train.py"
        )
    return path
