"""The teacher: a pretrained MobileNetV2 folder, and what the student learns of it."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SIDE = 224
"""Pixels along the square that the teacher sees."""
DIM = 1280
"""Channels of its last map."""
HINTS = (320, 96, 32)
"""Channels of three narrow maps that the student's trunk imitates, cell by cell."""
STATISTICS = (2 * 576, 2 * 192)
"""Means and deviations of the channels of two wide maps, for the student's earlier readouts."""
_NARROW = (15, 11, 4)
_WIDE = (12, 5)


class Targets(NamedTuple):
    """What the teacher says of n pictures, float32.

    Attributes
    ----------
    pooled : (n, 1280)
        Means of the last map: what the teacher would hand to a user.
    cells : (n, 1280, 4, 4)
        The last map by cell of the student's.
    hints : of shapes (n, 320, 4, 4), (n, 96, 8, 8), (n, 32, 16, 16)
        Narrow maps on the way, at the sizes of the student's.
    statistics : of shapes (n, 1152), (n, 384)
        Mean and deviation of each channel of two wide maps.
    """

    pooled: torch.Tensor
    cells: torch.Tensor
    hints: tuple[torch.Tensor, ...]
    statistics: tuple[torch.Tensor, ...]


class Teacher:
    """Run the network of a ``transformers`` MobileNetV2 folder.

    Parameters
    ----------
    folder : path
        Holds ``config.json`` and ``model.safetensors``.
    device : str
        ``cuda`` runs it in float16. On the CPU it is float32, and ONNX Runtime runs it where
        the ``onnx`` package is installed: some five times as fast at equal numbers.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        if not (Path(folder) / "config.json").exists():
            raise SystemExit(f"no config.json in {folder}: give a MobileNetV2 folder as --teacher")
        self.network = Network(folder).eval().requires_grad_(False)
        self._run: Callable = self.network
        self._type = torch.float32
        if device == "cuda":
            self._type = torch.float16
            self.network.to(device, self._type)
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        elif importlib.util.find_spec("onnx") is not None:
            self._run = _onnx(self.network)

    def __call__(self, pictures: torch.Tensor) -> Targets:
        """Label pictures (n, 3, 224, 224) of values 0 to 255."""
        scaled = self.scaled(pictures)
        with torch.no_grad():
            last, *others = self._run(scaled)
            narrow, wide = others[: len(_NARROW)], others[len(_NARROW) :]
            sides = (4, 8, 16)
            return Targets(
                last.float().mean((2, 3)),
                functional.adaptive_avg_pool2d(last, 4).float(),
                tuple(
                    functional.adaptive_avg_pool2d(x, side).float()
                    for x, side in zip(narrow, sides, strict=True)
                ),
                tuple(torch.cat([x.float().mean((2, 3)), x.float().std((2, 3))], 1) for x in wide),
            )

    def scaled(self, pictures: torch.Tensor) -> torch.Tensor:
        """Bring values 0 to 255 to what the network reads."""
        scaled = (pictures / 127.5 - 1).to(self._type)
        return scaled.contiguous(memory_format=torch.channels_last)


class Network(nn.Module):
    """MobileNetV2 with its batch norm folded, giving its last map and some on the way.

    ``transformers`` pads every convolution anew as TensorFlow does; here only those with
    stride two are padded by a step of its own, at equal numbers for sides divisible by 32.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        from transformers import MobileNetV2Model

        source = MobileNetV2Model.from_pretrained(folder).eval()
        stem = source.conv_stem
        self.stem = nn.Sequential(
            *_plain(stem.first_conv), *_plain(stem.conv_3x3), *_plain(stem.reduce_1x1)
        )
        self.widen = nn.ModuleList(nn.Sequential(*_plain(b.expand_1x1)) for b in source.layer)
        self.narrow = nn.ModuleList(
            nn.Sequential(*_plain(b.conv_3x3), *_plain(b.reduce_1x1)) for b in source.layer
        )
        self.adds = [bool(block.use_residual) for block in source.layer]
        self.last = nn.Sequential(*_plain(source.conv_1x1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the last map, then those of `HINTS`, then those of `STATISTICS`."""
        x = self.stem(x)
        wides, narrows = [], []
        for widen, narrow, adds in zip(self.widen, self.narrow, self.adds, strict=True):
            wides.append(widen(x))
            x = x + narrow(wides[-1]) if adds else narrow(wides[-1])
            narrows.append(x)
        return self.last(x), *(narrows[i] for i in _NARROW), *(wides[i] for i in _WIDE)


def _plain(layer: Any) -> list[nn.Module]:
    """List padding where it is lopsided, the convolution with its norm folded in, ReLU6."""
    conv = nn.utils.fuse_conv_bn_eval(layer.convolution.eval(), layer.normalization.eval())
    steps: list[nn.Module] = [conv]
    if conv.kernel_size == (3, 3):
        conv.padding = (1, 1) if conv.stride == (1, 1) else (0, 0)
        if conv.stride == (2, 2):
            steps.insert(0, nn.ZeroPad2d((0, 1, 0, 1)))
    return [*steps, nn.ReLU6()] if layer.activation is not None else steps


def _onnx(network: nn.Module) -> Callable:
    import io

    import onnxruntime

    file = io.BytesIO()
    names = [f"map{i}" for i in range(1 + len(_NARROW) + len(_WIDE))]
    with warnings.catch_warnings():
        # The exporter that needs no further package warns of its age.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(2, 3, SIDE, SIDE),),
            file,  # type: ignore[arg-type]  # this exporter does write to open files
            input_names=["pixels"],
            output_names=names,
            dynamic_axes={name: {0: "n"} for name in ("pixels", *names)},
            dynamo=False,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file.getvalue(), options)

    def run(scaled: torch.Tensor) -> list[torch.Tensor]:
        pixels = np.ascontiguousarray(scaled.numpy())
        return [torch.from_numpy(x) for x in session.run(None, {"pixels": pixels})]

    return run
