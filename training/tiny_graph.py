"""Write image-tiny as an ONNX graph, for services without torch: python training/tiny_graph.py

The graph holds no weights: who opens it brings them from the safetensors file, so that there is one
copy. Write it anew when the network or its input changes; a test compares what the two give.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import onnx
import torch

from deepfeast.transforms.encoders.image.runtime import pixels_to_vectors
from deepfeast.transforms.encoders.image.tiny import SIZE, graph_path, trained_network
from deepfeast.transforms.encoders.image.tiny_encoder import TinyImageEncoder


def main() -> None:
    """Write the graph to where the package looks for it."""
    graph_path().write_bytes(graph())
    print(f"{graph_path()}: {graph_path().stat().st_size:,} bytes")


def graph() -> bytes:
    """Make the graph from (n, 128, 128, 3) uint8 to (n, 640) float32, without the weights."""
    step = TinyImageEncoder(trained=True)._input_step()
    network = trained_network()
    names = set(network.state_dict())
    module = pixels_to_vectors(network, "called", step)
    file = io.BytesIO()
    torch.onnx.export(
        module,
        (torch.from_numpy(np.zeros((2, SIZE, SIZE, 3), np.uint8)),),
        file,  # type: ignore[arg-type]  # this exporter does write to open files
        dynamo=False,
        input_names=["pixels"],
        output_names=["vectors"],
        dynamic_axes={"pixels": {0: "n"}, "vectors": {0: "n"}},
        opset_version=17,
    )
    model = onnx.load_model_from_string(file.getvalue())
    refer(model, names, "model.")
    return model.SerializeToString(deterministic=True)


def refer(model: Any, names: set[str], prefix: str) -> None:
    """Leave weights out of a model, under their own names: who opens it brings them."""
    for tensor in model.graph.initializer:
        name = tensor.name.removeprefix(prefix)
        if name in names:
            names.remove(name)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="weights")
    if names:
        raise SystemExit(f"the graph does not use {sorted(names)}: was the network changed?")


if __name__ == "__main__":
    main()
