"""Vision folders give the numbers of transformers, whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.image.encoder import ImageEncoder
from deepfeast.transforms.encoders.machine import smallest_cosine
from deepfeast.transforms.errors import SpecError

VISION = [
    "vit",
    "dinov2",
    "convnext",
    "resnet",
    "mobilenet_v2",
    "siglip_vision_model",
    "clip_vision_model",
]


@pytest.mark.parametrize("kind", VISION)
def test_a_vision_folder_equals_transformers(vision, kind, their_output, photos):
    encoder = get_encoder(f"hf:{vision(kind)}", precision="exact")
    theirs = their_output(vision(kind))
    assert isinstance(encoder, ImageEncoder)
    if encoder.output == "cls":
        expected = np.stack([found.last_hidden_state[0, 0].numpy() for found in theirs])
    else:
        expected = np.stack([found.pooler_output.flatten().numpy() for found in theirs])
    ours = encoder.encode(photos)
    assert ours.shape == (len(photos), encoder.dim)
    assert smallest_cosine(expected, ours) >= 0.9999
    # Resizing and cropping were understood, not left to the slower processor.
    assert type(encoder._preprocess).__name__ == "Preprocessing"
    fast = get_encoder(f"hf:{vision(kind)}")
    assert smallest_cosine(expected, fast.encode(photos)) >= 0.999


def test_order_and_batches_never_matter(vision, photo):
    encoder = get_encoder(f"hf:{vision('resnet')}")
    photos = [photo(seed) for seed in range(11)]
    together = encoder.encode(photos)
    assert smallest_cosine(together[::-1], encoder.encode(photos[::-1])) > 0.99999
    assert smallest_cosine(together[[3]], encoder.encode([photos[3]])) > 0.99999
    same = encoder.encode([photos[0]] * 3)
    assert (same == same[0]).all()


def test_a_bad_photo_never_fails_its_neighbours(vision, photos):
    encoder = get_encoder(f"hf:{vision('resnet')}")
    encoded = encoder.encode_safely([photos[0], photos[1][:60], b"hello", photos[2]])
    assert sorted(encoded.rejects) == [1, 2]
    assert smallest_cosine(encoded.vectors[[0, 3]], encoder.encode(photos)[[0, 2]]) > 0.99999


@pytest.mark.shared
def test_the_shared_network_equals_transformers(shared, their_output, photos):
    folder = shared / "models" / "mobilenet_v2"
    encoder = get_encoder(f"hf:{folder}")
    expected = np.stack([found.pooler_output.flatten().numpy() for found in their_output(folder)])
    assert smallest_cosine(expected, encoder.encode(photos)) >= 0.9999


def test_a_gpu_gives_the_same(vision, photos):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    on_cpu = get_encoder(f"hf:{vision('vit')}?device=cpu", precision="exact")
    on_gpu = get_encoder(f"hf:{vision('vit')}?device=cuda", precision="exact")
    assert smallest_cosine(on_cpu.encode(photos), on_gpu.encode(photos)) >= 0.999
    assert on_cpu.fingerprint == on_gpu.fingerprint


def test_a_device_that_is_not_there_is_said(vision, photos):
    with pytest.raises(SpecError, match="this machine has cpu"):
        get_encoder(f"hf:{vision('vit')}?device=tpu").encode(photos)
