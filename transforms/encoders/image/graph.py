"""ONNX Runtime, one core a call; and image-tiny as a graph, which needs no torch.

A slim installation that only serves has no torch, which is larger than all the rest of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class GraphEngine:
    """A network whose graph lies beside its weights, on the CPU.

    Parameters
    ----------
    graph : Path
        An ONNX graph without weights, as ``training/tiny_graph.py`` writes it.
    weights : Path
        A safetensors file.
    prefix : str
        What the graph has before the names in that file.
    """

    name = "onnxruntime, float32"
    device = "cpu"
    one_at_a_time = False

    def __init__(self, graph: Path, weights: Path, prefix: str = "model."):
        from safetensors.numpy import load_file

        arrays = load_file(weights)
        named = {prefix + name: values.astype(np.float32) for name, values in arrays.items()}
        self.run = open_session(graph.read_bytes(), named)

    def __call__(self, prepared: Sequence[Any]) -> NDArray[np.float32]:
        """Encode pixels of one shape: (n, dim)."""
        return self.run(np.stack(prepared))


def open_session(
    model: bytes, weights: Mapping[str, NDArray[np.float32]] | None = None
) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """Return a model, from ``pixels`` to ``vectors``, as a function that keeps to one core.

    Parameters
    ----------
    model : bytes
    weights : mapping of str to ndarray, optional
        What the model names and does not hold.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Held until the session has read them.
    values = {n: onnxruntime.OrtValue.ortvalue_from_numpy(v) for n, v in (weights or {}).items()}
    if values:
        options.add_external_initializers(list(values), list(values.values()))
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"pixels": pixels})[0]
