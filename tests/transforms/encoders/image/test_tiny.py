"""image-tiny: its weights are there, small, cheap, and know more than chance."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepfeast.transforms.encoders.image import tiny

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def trained():
    return tiny.trained_network()


def test_the_weights_fit_in_three_megabytes_of_float16():
    from safetensors.torch import load_file

    assert tiny.weights_path().stat().st_size <= 3_000_000
    state = load_file(str(tiny.weights_path()))
    assert {values.dtype for values in state.values()} == {torch.float16}


def test_a_picture_becomes_640_finite_numbers(trained):
    vectors = features(trained, [Image.new("RGB", (200, 150), "teal")] * 2)
    assert vectors.shape == (2, tiny.DIM) == (2, 640)
    assert np.isfinite(vectors).all()
    assert vectors.std() > 0


def test_a_picture_costs_at_most_150_mflop(trained):
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        trained(torch.zeros(1, 3, tiny.SIZE, tiny.SIZE))
    # Two for each multiplication with its addition.
    assert 100e6 < counter.get_total_flops() <= 150e6


def test_vectors_do_not_depend_on_the_batch(trained):
    pictures = [drawn(np.random.default_rng(seed), seed % 3) for seed in range(6)]
    together = features(trained, pictures)
    alone = np.concatenate([features(trained, [picture]) for picture in pictures])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)


def test_an_untrained_network_depends_on_its_seed_alone():
    pixels = torch.ones(1, 3, tiny.SIZE, tiny.SIZE)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (tiny.untrained_network(seed)(pixels) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_trained_features_tell_shapes_apart_better_than_untrained_ones(trained):
    rng = np.random.default_rng(3)
    shapes = rng.integers(0, 3, 300)
    pictures = [drawn(rng, shape) for shape in shapes]
    trained_score = probe(features(trained, pictures), shapes)
    untrained_score = probe(features(tiny.untrained_network(), pictures), shapes)
    assert trained_score > 0.75
    assert trained_score > untrained_score + 0.05


def test_missing_weights_are_named_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(tiny, "__file__", str(tmp_path / "tiny.py"))
    with pytest.raises(FileNotFoundError, match=r"image_tiny\.safetensors.*reinstall"):
        tiny.weights_path()


def test_defining_the_network_loads_no_torch():
    code = "import sys, deepfeast.transforms.encoders.image.tiny; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def drawn(rng: np.random.Generator, shape: int) -> Image.Image:
    """A triangle, a star or a cross of any colour, place and size on any ground."""
    canvas = Image.new("RGB", (160, 160), tuple(int(v) for v in rng.integers(0, 256, 3)))
    radius, turn = rng.uniform(15, 55), rng.uniform(0, 6.28)
    x, y = rng.uniform(radius, 160 - radius, 2)
    corners, inner = ((3, 0.5), (5, 0.4), (4, 0.3))[shape]
    angles = turn + np.arange(corners * 2) * np.pi / corners
    reach = radius * np.where(np.arange(corners * 2) % 2, inner, 1)
    points = zip(x + reach * np.cos(angles), y + reach * np.sin(angles), strict=True)
    fill = tuple(int(v) for v in rng.integers(0, 256, 3))
    ImageDraw.Draw(canvas).polygon(list(points), fill=fill)
    return canvas


def features(network, pictures: list[Image.Image]) -> np.ndarray:
    small = [np.asarray(picture.resize((tiny.SIZE, tiny.SIZE))) for picture in pictures]
    pixels = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        return network((pixels - tiny.MEAN[0]) / tiny.STD[0]).numpy()


def probe(vectors: np.ndarray, labels: np.ndarray) -> float:
    half = len(labels) // 2
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    return model.fit(vectors[:half], labels[:half]).score(vectors[half:], labels[half:])
