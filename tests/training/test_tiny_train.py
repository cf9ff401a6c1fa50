"""The training of image-tiny: pictures, views, the teacher and its dreams, a short fit, export."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
TRAINING = Path(__file__).resolve().parents[2] / "training"


@pytest.fixture(autouse=True)
def _training_programs(monkeypatch):
    monkeypatch.syspath_prepend(str(TRAINING))


@pytest.fixture
def photos():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)) for _ in range(2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A MobileNetV2 folder with random weights, whose activations keep their size."""
    from transformers import MobileNetV2Config, MobileNetV2Model

    torch.manual_seed(0)
    model = MobileNetV2Model(MobileNetV2Config(tf_padding=True)).eval()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    made = tmp_path_factory.mktemp("teacher")
    model.save_pretrained(made)
    return made


def colours(views):
    """A teacher that knows colours: every channel is one of the three means of its cell."""
    from teacher import HINTS, STATISTICS, Targets
    from torch.nn.functional import adaptive_avg_pool2d

    def cells(channels: int, side: int):
        return adaptive_avg_pool2d(views / 255, side)[:, torch.arange(channels) % 3]

    pooled = cells(1280, 1).flatten(1)
    hints = tuple(cells(channels, side) for channels, side in zip(HINTS, (4, 8, 16), strict=True))
    return Targets(pooled, cells(1280, 4), hints, tuple(cells(n, 1).flatten(1) for n in STATISTICS))


def test_every_kind_draws_the_same_picture_again(photos):
    import pictures

    for kind, _ in pictures.KINDS:
        first, again, other = (kind(np.random.default_rng(s), photos) for s in (1, 1, 2))
        assert first.size == (256, 256), kind.__name__
        assert first.mode == "RGB", kind.__name__
        assert first.tobytes() == again.tobytes(), kind.__name__
        assert first.tobytes() != other.tobytes(), kind.__name__
    assert sum(pictures.WEIGHTS) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["formulas", "random_networks", "fractals"])
def test_textures_depend_on_their_seed_alone_and_differ_from_each_other(kind):
    import textures
    from views import Dice

    first, again, other = (getattr(textures, kind)(2, Dice("cpu", seed)) for seed in (1, 1, 2))
    assert (first.shape, first.dtype) == ((2, 3, 256, 256), torch.uint8)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])
    assert first.float().std((1, 2, 3)).min() > 2


def test_any_number_of_textures_can_be_asked_for():
    from textures import textures
    from views import Dice

    assert [len(textures(n, Dice("cpu", 0))) for n in (1, 4)] == [1, 4]


def test_views_depend_on_their_seed_alone():
    from views import Dice, draw_views

    stored = torch.randint(0, 256, (3, 3, 256, 256), dtype=torch.uint8)
    first, again, other = (draw_views(stored, torch.ones(3), Dice("cpu", s)) for s in (1, 1, 2))
    assert first.shape == (3, 3, 224, 224)
    assert first.min() >= 0
    assert first.max() <= 255
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_view_shows_a_square_of_a_wide_photo_unsqueezed():
    """A disc in the middle of a photo twice as wide as high stays as wide as it is high."""
    from PIL import ImageDraw
    from source import stored
    from views import Dice, crops

    photo = Image.new("RGB", (480, 240), "black")
    ImageDraw.Draw(photo).ellipse((190, 70, 290, 170), fill="white")
    shapes = []
    for seed in range(60):
        view = crops(stored(photo)[None], torch.tensor([2.0]), Dice("cpu", seed))[0, 0] > 128
        rows, columns = (view.any(axis).nonzero().flatten() for axis in (1, 0))
        whole = len(rows) and min(rows[0], columns[0]) > 0 and max(rows[-1], columns[-1]) < 223
        if whole and view[:, 112].sum() > 20:
            shapes.append(len(columns) / len(rows))
    assert len(shapes) > 10
    assert np.median(shapes) == pytest.approx(1, abs=0.05)


def test_teacher_and_student_see_the_same_field():
    from fit import whole_view
    from views import student_view

    picture = Image.new("RGB", (320, 256), "black")
    # The teacher keeps rows 16 to 240: a white frame outside must stay outside for both.
    picture.paste("white", (0, 0, 320, 12))
    view = whole_view(picture)
    assert view.shape == (3, 224, 224)
    assert view.max() == 0
    picture.paste("white", (0, 128, 320, 256))
    pixels = student_view(whole_view(picture)[None])[0]
    assert pixels.shape == (3, 128, 128)
    assert pixels[:, :63].max() < -1.99
    assert pixels[:, 65:].min() > 1.99


def test_the_teacher_is_the_network_of_its_folder(folder):
    from teacher import Teacher
    from transformers import MobileNetV2Model

    pictures = torch.rand(2, 3, 224, 224) * 255
    told = Teacher(folder)(pictures)
    with torch.inference_mode():
        expected = MobileNetV2Model.from_pretrained(folder).eval()(pictures / 127.5 - 1)
    torch.testing.assert_close(told.pooled, expected.pooler_output, rtol=1e-3, atol=1e-3)
    assert told.cells.shape == (2, 1280, 4, 4)
    assert [tuple(hint.shape[1:]) for hint in told.hints] == [
        (320, 4, 4),
        (96, 8, 8),
        (32, 16, 16),
    ]
    assert [values.shape[1] for values in told.statistics] == [1152, 384]


def test_a_dream_excites_the_channel_it_is_of(folder, monkeypatch):
    import dreams
    from teacher import Teacher
    from views import Dice

    monkeypatch.setattr(dreams, "OCTAVES", ((96, 8),))
    teacher, before = Teacher(folder), torch.full((2, 3, 96, 96), 128.0)
    before += 20 * torch.randn(before.shape, generator=torch.Generator().manual_seed(0))
    wanted = Dice("cpu", 5).below(1280, 2, 1)  # the first that a dream of this seed draws
    after = dreams.dream(before, teacher, Dice("cpu", 5))

    def felt(pictures):
        with torch.no_grad():
            maps = teacher.network.last[0](teacher.network(teacher.scaled(pictures))[1])
        return maps.mean((2, 3)).gather(1, wanted)

    assert after.shape == before.shape
    assert (after.min() >= 0) & (after.max() <= 255)
    assert (felt(after) > felt(before)).all()


def test_photos_that_are_kept_out_are_not_learnt_from(tmp_path):
    from source import open_photos

    (tmp_path / "photos").mkdir()
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (9, 7), colour).save(tmp_path / "photos" / name)
    (tmp_path / "names.txt").write_text("b.png\n")
    used, kept = open_photos(tmp_path / "photos", tmp_path / "names.txt")
    assert [photo.getpixel((0, 0)) for photo in kept] == [(0, 0, 255)]
    assert (0, 0, 255) not in {photo.getpixel((0, 0)) for photo in used}


def test_the_pool_keeps_the_newest_and_shows_only_what_it_holds(photos):
    from source import Source

    source = Source(photos, "cpu", seed=0, room=3, workers=0)
    kinds = [torch.full((1, 3, 256, 256), value, dtype=torch.uint8) for value in (1, 2, 3, 4)]
    for picture in kinds:
        source.put("drawn", picture)
    start = len(photos)
    assert sorted(int(p[0, 0, 0]) for p in source.pool[start : start + 3]) == [2, 3, 4]
    source.refresh(drawn=1, drawn_textures=0)
    assert source.views(5).shape == (5, 3, 224, 224)


def test_steps_on_a_batch_bring_its_error_down(tmp_path):
    from fit import Fit, Scale

    run = Fit(tmp_path, colours, "cpu", rate=0.1)
    flat = torch.rand(2, 3, 1, 1, generator=torch.Generator().manual_seed(0)) * 255
    views = flat.expand(-1, -1, 224, 224)
    run.scale = Scale.measure([colours(views)])
    errors = torch.stack([run.advance(views, progress=0) for _ in range(12)])
    # Standardised, so one who knows nothing is about one off: pooled, cells, hints, statistics.
    assert (errors[-1] < 0.5 * errors[0]).all()


def test_a_fit_ends_saves_and_is_resumed(photos, tmp_path, capsys):
    from fit import fit
    from safetensors.torch import load_file

    from deepfeast.transforms.encoders.image import tiny

    first = fit(tmp_path, cast(Any, colours), photos, photos, pictures=12, batch=4, room=8)
    assert first.pictures == 16  # it stops after the first step beyond the aim
    second = fit(tmp_path, cast(Any, colours), photos, pictures=20, batch=4, room=8)
    assert (second.step, second.pictures) == (6, 24)
    said = capsys.readouterr().out
    assert "of photos kept out" in said
    assert "pictures 24" in said
    tiny.network().load_state_dict(load_file(str(tmp_path / "image_tiny.safetensors")))


def test_dreams_are_dreamt_once(photos, folder, tmp_path, monkeypatch):
    import dreams
    import source as source_module
    from source import Source
    from teacher import Teacher

    monkeypatch.setattr(dreams, "OCTAVES", ((64, 1),))
    source, teacher = Source(photos, "cpu", 0, 3, 0), Teacher(folder)
    source.add_dreams(teacher, 2, tmp_path / "dreams.npy")
    assert source.put_so_far["dreams"] == 2
    monkeypatch.setattr(source_module, "dream", None)
    again = Source(photos, "cpu", 0, 3, 0)
    again.add_dreams(teacher, 2, tmp_path / "dreams.npy")
    assert torch.equal(again.pool[-2:], source.pool[-2:])


def test_the_export_computes_what_the_trained_network_does(tmp_path):
    from fit import export
    from safetensors.torch import load_file

    from deepfeast.transforms.encoders.image import tiny

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


def test_a_folder_without_a_teacher_or_without_photos_says_what_to_do(tmp_path):
    from source import open_photos
    from teacher import Teacher

    with pytest.raises(SystemExit, match="give a MobileNetV2 folder as --teacher"):
        Teacher(tmp_path)
    with pytest.raises(SystemExit, match="no photographs"):
        open_photos(tmp_path)
    with pytest.raises(SystemExit, match="give one of photographs as --photos"):
        open_photos(tmp_path / "nowhere")
