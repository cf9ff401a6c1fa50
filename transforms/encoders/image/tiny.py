"""``image-tiny``: the small image network that comes with the package.

It was distilled from a MobileNetV2 (``weights/image_tiny.md`` says on what and how well), so
that images have an encoder where no model hub can be reached. Only convolutions, ReLU, sums
and means: any engine runs it.
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
"""The means of 512 channels of the last map, of 96 at 8 x 8 cells and of 32 at 16 x 16.

The last tell what is there; the earlier keep colour, texture and count, which the last give up.
"""

# Inverted residual blocks, as in the teacher (Sandler et al. 2018, "MobileNetV2"): widened
# channels, channels handed on, stride. What the budget allows is spent where the map is small.
_STEM = 24
_BLOCKS = (
    (24, 16, 1),
    *((64, 24, 2), (96, 24, 1)),
    *((96, 32, 2), (192, 32, 1), (192, 32, 1)),
    *((192, 64, 2), (320, 64, 1), (320, 64, 1), (320, 96, 1), (480, 96, 1), (480, 96, 1)),
    *((512, 160, 2), (640, 160, 1), (640, 160, 1), (640, 256, 1)),
)
_EARLY, _MIDDLE = 5, 11
"""Blocks after which a map is read out beside the last: of 16 x 16 and of 8 x 8 cells."""
_LATE_DIM, _MIDDLE_DIM, _EARLY_DIM = 512, 96, 32
# The maps that are read leak a little below zero. With plain ReLU a channel can be silent
# on all pictures that a model is trained on and speak on one that comes later: standardised,
# that is an outlier of thousands of deviations, and linear models break.
_LEAK = 0.1


def network(*, batch_norm: bool = False) -> nn.Module:
    """Build the network, its weights at random: 1.4 M parameters, 0.14 GFLOP a picture.

    Parameters
    ----------
    batch_norm : bool
        Keep normalisation after each convolution, as training needs it. The shipped
        weights have it folded in.

    Returns
    -------
    torch.nn.Module
        From (n, 3, 128, 128) float32 to (n, 640) float32. Its method ``maps`` gives the maps
        whose means these are, latest first, and its method ``trunk`` what the stages hand on.

    Examples
    --------
    >>> import torch
    >>> network().eval()(torch.zeros(2, 3, SIZE, SIZE)).shape
    torch.Size([2, 640])
    """
    import torch
    from torch import nn

    def conv(given: int, made: int, side: int = 1, stride: int = 1, groups: int = 1) -> list:
        layer = nn.Conv2d(given, made, side, stride, side // 2, groups=groups, bias=not batch_norm)
        return [layer, nn.BatchNorm2d(made)] if batch_norm else [layer]

    def depthwise(channels: int, stride: int) -> list:
        return [*conv(channels, channels, 3, stride, channels), nn.ReLU()]

    class Block(nn.Module):
        """Widen, look around in each channel, narrow, and add what came in where it fits."""

        def __init__(self, given: int, wide: int, made: int, stride: int) -> None:
            super().__init__()
            widen = [*conv(given, wide), nn.ReLU()] if wide > given else []
            self.body = nn.Sequential(*widen, *depthwise(wide, stride), *conv(wide, made))
            self.adds = given == made and stride == 1

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.body(x) if self.adds else self.body(x)

    def readout(given: int, made: int) -> nn.Sequential:
        return nn.Sequential(*conv(given, made), nn.LeakyReLU(_LEAK))

    class Network(nn.Module):
        """A trunk of blocks and three readouts of it."""

        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(*conv(3, _STEM, 3, stride=2), nn.ReLU())
            self.blocks, given = nn.ModuleList(), _STEM
            for wide, made, stride in _BLOCKS:
                self.blocks.append(Block(given, wide, made, stride))
                given = made
            self.late = readout(given, _LATE_DIM)
            self.middle = readout(_BLOCKS[_MIDDLE][1], _MIDDLE_DIM)
            self.early = readout(_BLOCKS[_EARLY][1], _EARLY_DIM)

        def trunk(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            x = self.stem(x)
            for number, block in enumerate(self.blocks):
                x = block(x)
                if number == _EARLY:
                    early = x
                if number == _MIDDLE:
                    middle = x
            return x, middle, early

        def maps(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            late, middle, early = self.trunk(x)
            return self.late(late), self.middle(middle), self.early(early)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([found.mean((2, 3)) for found in self.maps(x)], 1)

    return Network()


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


def graph_path() -> Path:
    """Return where the network lies as an ONNX graph, which reads the shipped weights."""
    return Path(__file__).parent / "weights" / "image_tiny.onnx"
