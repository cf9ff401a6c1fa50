"""A network from pixels to the vector asked for, in the fastest form that agrees with torch."""

import numpy as np
import pytest
import torch

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.image.pixels import Preprocessing
from deepfeast.transforms.encoders.image.runtime import Engine, in_onnx, pixels_to_vectors
from deepfeast.transforms.encoders.machine import smallest_cosine
from deepfeast.transforms.errors import SpecError


def test_outputs_are_stated_and_in_the_fingerprint(vision, their_output, photos):
    theirs = their_output(vision("vit"))
    mean = get_encoder(f"hf:{vision('vit')}?output=mean", precision="exact")
    expected = np.stack([found.last_hidden_state[0].mean(0).numpy() for found in theirs])
    assert smallest_cosine(expected, mean.encode(photos)) >= 0.9999
    assert mean.fingerprint != get_encoder(f"hf:{vision('vit')}", precision="exact").fingerprint
    with pytest.raises(SpecError, match="Did you mean 'pooled'"):
        get_encoder(f"hf:{vision('vit')}?output=pooledd")


def test_an_output_that_a_network_does_not_have_names_those_it_has(vision, photos):
    with pytest.raises(SpecError, match=r"no class token: write \?output=pooled"):
        get_encoder(f"hf:{vision('resnet')}?output=cls").encode(photos)


def pixels(n):
    return np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)


def engine(*layers):
    """Make an engine of layers, whose network reads pixels from -1 to 1."""
    scale = Preprocessing(None, None, 2, (127.5,) * 3, (127.5,) * 3)
    module = pixels_to_vectors(torch.nn.Sequential(*layers), "called", scale)
    return module, Engine(module, pixels(2), "fast", "cpu")


def test_convolutions_run_in_onnx_whatever_the_number_of_pictures():
    torch.manual_seed(0)
    pool = torch.nn.AdaptiveAvgPool2d(1)
    module, run = engine(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), pool)
    assert (run.name, run.one_at_a_time) == ("onnxruntime, float32", False)
    for n in (1, 5):
        with torch.inference_mode():
            expected = module(torch.from_numpy(pixels(n))).numpy()
        assert smallest_cosine(expected, run(list(pixels(n)))) > 0.99999


def test_what_cannot_be_translated_stays_in_torch():
    class Eigenvalues(torch.nn.Module):
        def forward(self, x):
            return torch.linalg.eigvalsh(x[:, 0])

    module, run = engine(Eigenvalues())
    assert in_onnx(module, pixels(2)) is None
    assert run.name == "torch, float32"
    assert run(list(pixels(3))).shape == (3, 8)
