"""The teacher: a pretrained MobileNetV2 folder, run to its last feature map."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

SIDE = 224
"""Pixels along the square that the teacher sees."""


class Teacher:
    """Run the network of a ``transformers`` MobileNetV2 folder.

    Parameters
    ----------
    folder : path
        Holds ``config.json`` and ``model.safetensors``.
    threads : int
        Threads for one batch.

    Notes
    -----
    With the ``onnx`` package installed the network is exported once and run by ONNX
    Runtime, some five times as fast as through torch at equal numbers.
    """

    def __init__(self, folder: str | Path, threads: int = 1) -> None:
        if not (Path(folder) / "config.json").exists():
            raise SystemExit(f"no config.json in {folder}: give a MobileNetV2 folder as --teacher")
        fast = importlib.util.find_spec("onnx") is not None
        self._run = _onnx(Path(folder), threads) if fast else _torch(Path(folder), threads)

    def maps(self, pixels: np.ndarray) -> np.ndarray:
        """Feature maps of shape (n, 1280, 7, 7) of uint8 pixels (n, 224, 224, 3)."""
        scaled = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        return self._run(np.ascontiguousarray(scaled))


def _network(folder: Path):
    from torch import nn
    from transformers import MobileNetV2Model

    class LastMap(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = MobileNetV2Model.from_pretrained(folder)

        def forward(self, pixels):
            return self.model(pixels).last_hidden_state

    return LastMap().eval()


def _torch(folder: Path, threads: int):
    import torch

    torch.set_num_threads(threads)
    network = _network(folder).to(memory_format=torch.channels_last)

    def run(scaled: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(scaled)).numpy()

    return run


def _onnx(folder: Path, threads: int):
    import io

    import onnxruntime
    import torch

    file = io.BytesIO()
    torch.onnx.export(
        _network(folder),
        (torch.zeros(2, 3, SIDE, SIDE),),
        file,
        input_names=["pixels"],
        output_names=["maps"],
        dynamic_axes={"pixels": {0: "n"}, "maps": {0: "n"}},
        dynamo=False,
        # Folding fails on the slices of TensorFlow-style padding, and warns.
        do_constant_folding=False,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file.getvalue(), options)
    return lambda scaled: session.run(None, {"pixels": scaled})[0]
