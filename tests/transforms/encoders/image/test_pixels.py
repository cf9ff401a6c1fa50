"""A folder's own preprocessing is understood, or left to its own processor."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.image.pixels import Preprocessing, _same, read_preprocessing
from deepfeast.transforms.encoders.machine import smallest_cosine

SQUARE = {"height": 32, "width": 32}


def test_an_unknown_processor_is_used_as_it_is(save_vision, tmp_path, their_output, photos):
    """This one shifts pixels after it has scaled them, which we do not translate."""
    import transformers as t

    folder = save_vision("clip_vision_model", tmp_path / "shifted")
    processor = t.EfficientNetImageProcessor(size=SQUARE, crop_size=SQUARE, rescale_offset=True)
    assert read_preprocessing(processor) is None
    processor.save_pretrained(folder)
    encoder = get_encoder(f"hf:{folder}", precision="exact")
    expected = np.stack([found.pooler_output[0].numpy() for found in their_output(folder)])
    assert smallest_cosine(expected, encoder.encode(photos)) >= 0.9999


def test_a_crop_beyond_the_picture_is_padded_as_transformers_does():
    import transformers as t

    processor = t.CLIPImageProcessor(size={"shortest_edge": 20}, crop_size=SQUARE)
    found = read_preprocessing(processor)  # compared with the processor before it is used
    assert found is not None
    assert (found.resize, found.crop) == (20, (32, 32))


def test_the_shorter_side_is_resized_and_the_centre_kept():
    halves = Image.new("RGB", (80, 20), "red")
    halves.paste("blue", (40, 0, 80, 20))
    step = Preprocessing(10, (10, 10), 2, (255.0, 0.0, 0.0), (5.0, 5.0, 5.0))
    pixels = step(halves)
    assert (pixels.shape, pixels.dtype) == ((10, 10, 3), np.uint8)
    assert pixels[5, 0].tolist() == [255, 0, 0]
    assert pixels[5, 9].tolist() == [0, 0, 255]
    assert step.scaled(pixels)[:, 5, 9].tolist() == [-51, 0, 51]
    whole = Preprocessing((4, 6), None, 2, (0.0,) * 3, (1.0,) * 3)
    assert whole(halves).shape == (4, 6, 3)


@pytest.mark.parametrize("size", [(301, 257), (90, 240), (40, 33)])
def test_what_the_crop_leaves_is_as_if_all_had_been_resized(size):
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    step = Preprocessing(48, (40, 40), 2, (0.0,) * 3, (1.0,) * 3)
    width, height = (48 * size[0] // min(size), 48 * size[1] // min(size))
    left, top = (width - 40) // 2, (height - 40) // 2
    whole = image.resize((width, height), 2).crop((left, top, left + 40, top + 40))
    apart = np.abs(step(image).astype(int) - np.asarray(whole).astype(int))
    assert apart.max() <= 1
    assert apart.mean() < 0.1


def test_a_small_difference_in_the_filter_is_noticed():
    import transformers as t

    processor = t.ViTImageProcessor(size=SQUARE, resample=3)
    found = read_preprocessing(processor)
    assert found is not None
    assert _same(found, processor)
    assert not _same(dataclasses.replace(found, resample=2), processor)
