"""The training of image-tiny: pictures, shards, a short fit, and the folded export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TRAINING = Path(__file__).resolve().parent.parent / "training"


@pytest.fixture(autouse=True)
def _training_programs(monkeypatch):
    monkeypatch.syspath_prepend(str(TRAINING))


@pytest.fixture
def photos():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)) for _ in range(2)]


class Colours:
    """A teacher that knows colours: channel c of each cell is one of the cell's three means."""

    def maps(self, pixels: np.ndarray) -> np.ndarray:
        cells = pixels.reshape(len(pixels), 7, 32, 7, 32, 3).mean((2, 4)) / 255 * 6
        return cells.transpose(0, 3, 1, 2)[:, np.arange(1280) % 3].astype(np.float32)


def test_every_kind_draws_the_same_picture_again(photos):
    import pictures

    for kind, _ in pictures.KINDS:
        first, again, other = (kind(np.random.default_rng(s), photos) for s in (1, 1, 2))
        assert first.size == (256, 256), kind.__name__
        assert first.mode == "RGB", kind.__name__
        assert first.tobytes() == again.tobytes(), kind.__name__
        assert first.tobytes() != other.tobytes(), kind.__name__
    assert sum(pictures.WEIGHTS) == pytest.approx(1)


def test_teacher_and_student_see_the_same_field():
    import shards

    picture = Image.new("RGB", (256, 256), "black")
    # The teacher keeps 16 to 240: a white frame outside must stay outside for both.
    picture.paste("white", (0, 0, 256, 12))
    assert shards.teacher_view(picture).shape == (224, 224, 3)
    assert shards.teacher_view(picture).max() == 0
    assert shards.student_view(picture)[4:-4, 4:-4].shape == (128, 128, 3)
    assert shards.student_view(picture)[4:-4, 4:-4].max() == 0


def test_labelled_pictures_are_fitted_and_resumed(photos, tmp_path, monkeypatch, capsys):
    import shards
    from fit import Fit, fit
    from safetensors.torch import load_file

    from deepfeast.transforms.encoders import tiny

    monkeypatch.setattr(shards, "SHARD", 32)
    assert shards.write_shard(tmp_path, 0, photos, Colours())
    assert not shards.write_shard(tmp_path, 0, photos, Colours())
    stored = shards.read_shards(tmp_path)[0]
    grid = stored["local"].astype(float).mean((1, 2)) * 6 / 255
    np.testing.assert_allclose(grid[:, 0], stored["pooled"][:, 0], atol=0.6)
    options = {"minutes": 9, "batch": 8, "rate": 1e-3, "seed": 0}
    fit(tmp_path, pictures=24, **options)
    fit(tmp_path, pictures=40, **options)
    run = Fit(tmp_path)
    run.resume()
    assert run.pictures == 48  # it stops after the first step beyond the aim
    assert "pictures 48" in capsys.readouterr().out
    tiny.network().load_state_dict(load_file(str(tmp_path / "image_tiny.safetensors")))


def test_the_export_computes_what_the_trained_network_does(tmp_path):
    import torch
    from fit import export
    from safetensors.torch import load_file

    from deepfeast.transforms.encoders import tiny

    trained, folded = tiny.network(batch_norm=True), tiny.network()
    with torch.no_grad():
        trained(torch.rand(16, 3, 128, 128))  # gives batch norm some statistics
    export(trained.state_dict(), tmp_path / "x.safetensors")
    state = load_file(str(tmp_path / "x.safetensors"))
    folded.load_state_dict({name: values.float() for name, values in state.items()})
    pixels = torch.rand(2, 3, 128, 128)
    with torch.inference_mode():
        one, two = trained.eval()(pixels), folded.eval()(pixels)
    torch.testing.assert_close(one, two, rtol=0.02, atol=0.01)


def test_a_fit_without_shards_says_what_to_do(tmp_path):
    from fit import Fit

    with pytest.raises(SystemExit, match=r"run tiny_train\.py label first"):
        Fit(tmp_path)
