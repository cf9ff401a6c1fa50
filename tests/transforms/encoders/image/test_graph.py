"""image-tiny as a graph, for ONNX Runtime alone."""

import numpy as np
import pytest

from deepfeast.transforms.encoders.image.graph import GraphEngine
from deepfeast.transforms.encoders.image.tiny import SIZE, graph_path, trained_network, weights_path
from deepfeast.transforms.encoders.image.tiny_encoder import TinyImageEncoder


def test_the_graph_gives_what_the_network_gives():
    torch = pytest.importorskip("torch")
    pixels = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    mean, std = (np.array(v, np.float32) for v in ((127.5,) * 3, (63.75,) * 3))
    scaled = torch.from_numpy(((pixels - mean) / std).transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        expected = trained_network()(scaled).numpy()
    found = GraphEngine(graph_path(), weights_path())(list(pixels))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert expected.std() > 0.01


def test_without_torch_an_encoder_takes_the_graph(photos, without_torch):
    encoder = TinyImageEncoder(trained=True)
    vectors = encoder.encode(photos)
    assert type(encoder._engine) is GraphEngine
    without_torch.undo()
    again = TinyImageEncoder(trained=True)
    np.testing.assert_allclose(again.encode(photos), vectors, rtol=1e-5, atol=1e-6)
    assert type(again._engine) is not GraphEngine
    assert again.fingerprint == encoder.fingerprint
