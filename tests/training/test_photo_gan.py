"""The worked example of a GAN: a short training, and its discriminator as an encoder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
TRAINING = Path(__file__).resolve().parents[2] / "training"


def test_a_discriminator_trained_by_one_command_is_an_encoder(tmp_path, monkeypatch):
    """A few steps move its weights: vectors differ from those of the untrained twin."""
    monkeypatch.syspath_prepend(str(TRAINING))
    command = [sys.executable, str(TRAINING / "photo_gan.py"), "--out", str(tmp_path)]
    options = ["--listings=12", "--steps=3", "--batch=4", "--no-lift"]
    told = subprocess.run([*command, *options], check=True, capture_output=True, text=True).stdout
    from photo_gan import WIDTH, encoder_name, read_photos

    from deepfeast.transforms.encoders import get_encoder

    name = encoder_name(tmp_path / "discriminator.safetensors")
    assert name in told
    photos = list(read_photos(tmp_path / "market" / "photos"))
    trained, untrained = (get_encoder(found).encode(photos) for found in (name, encoder_name(None)))
    assert trained.shape == untrained.shape == (len(photos), 4 * WIDTH)
    assert np.isfinite(trained).all()
    assert not np.allclose(trained, untrained)
