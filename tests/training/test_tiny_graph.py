"""The graph of image-tiny, as it is written for services without torch."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
TRAINING = Path(__file__).resolve().parents[2] / "training"


@pytest.fixture(autouse=True)
def _training_programs(monkeypatch):
    monkeypatch.syspath_prepend(str(TRAINING))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_graph_that_is_shipped_is_that_of_the_network(tmp_path):
    from tiny_graph import graph

    from deepfeast.transforms.encoders.image.graph import GraphEngine
    from deepfeast.transforms.encoders.image.tiny import SIZE, graph_path, weights_path

    (tmp_path / "new.onnx").write_bytes(graph())
    assert (tmp_path / "new.onnx").stat().st_size < 50_000, "it holds weights"
    pixels = list(np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8))
    made, shipped = (GraphEngine(p, weights_path()) for p in (tmp_path / "new.onnx", graph_path()))
    np.testing.assert_allclose(made(pixels), shipped(pixels), rtol=1e-5, atol=1e-6)


def test_a_weight_that_the_graph_lacks_is_an_error():
    import onnx
    from tiny_graph import refer

    with pytest.raises(SystemExit, match=r"does not use \['stem'\]"):
        refer(onnx.ModelProto(), {"stem"}, "model.")
