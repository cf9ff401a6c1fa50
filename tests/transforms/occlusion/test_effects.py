"""The answer is known: one sentence and one patch hold all there is to see."""

import numpy as np
import pytest
from PIL import Image

from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.compose import PooledEncoder
from deepfeast.transforms.errors import Reject
from deepfeast.transforms.occlusion.effects import part_effects
from deepfeast.transforms.occlusion.photos import to_bytes
from deepfeast.transforms.testing import WordLengths


@pytest.fixture(scope="module")
def photos():
    return get_encoder("image-tiny")


def grey(patch=None):
    pixels = np.full((96, 96, 3), 110, np.uint8)
    if patch:
        row, column = patch
        pixels[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32] = [230, 20, 20]
    return to_bytes(Image.fromarray(pixels))


def strongest(parts):
    return max(range(len(parts)), key=lambda number: abs(parts[number].effect))


def test_the_sentence_that_holds_the_signal_moves_the_prediction_most():
    encoder = get_encoder("text-tiny")
    few, many = encoder.encode(["a plain wooden chair", "a luxurious diamond necklace"])
    text = "Collect it in Oslo. A luxurious diamond necklace. Cash only. Ask me."
    parts = part_effects(text, encoder, lambda vectors: vectors @ (many - few))
    assert strongest(parts) == 1
    assert parts[1].effect > 0
    assert text[slice(*parts[1].place)] == "A luxurious diamond necklace."


def test_noise_is_asked_of_all_parts_and_says_what_is_luck():
    asked = []

    def noise(differences, effects, count):
        asked.append((differences[:, 0].tolist(), effects.tolist(), count))
        return np.full(len(effects), 2.0)

    parts = part_effects("a sofa", WordLengths(2), lambda vectors: vectors[:, 0], noise=noise)
    assert asked == [([-3.0, 0.0], [-3.0, 0.0], 2)]
    assert [part.luck for part in parts] == [False, True]
    (part, _) = part_effects("a sofa", WordLengths(2), lambda vectors: vectors[:, 0])
    assert (part.noise, part.luck) == (None, False)


@pytest.mark.parametrize(("patch", "number"), [((0, 0), 0), ((1, 2), 5)])
def test_the_patch_that_differs_moves_the_prediction_most(photos, patch, number):
    plain, red = photos.encode([grey(), grey(patch)])
    parts = part_effects(grey(patch), photos, lambda vectors: vectors @ (red - plain), patches=3)
    assert len(parts) == 9
    assert strongest(parts) == number
    assert parts[number].effect > 0


def test_of_several_photos_the_patch_is_found_in_its_own(photos):
    pooled = PooledEncoder(photos)
    cell = (grey(), b"no photo", grey((1, 1)))
    plain, red = photos.encode([grey(), grey((1, 1))])
    counts = []

    def noise(differences, effects, count):
        counts.append((len(effects), count))
        return effects

    parts = part_effects(
        cell, pooled, lambda vectors: vectors @ (red - plain), patches=3, noise=noise
    )
    assert counts == [(9, 18), (9, 18)]
    best = parts[strongest(parts)]
    assert (len(parts), best.photo) == (18, 2)
    assert best.place[:2] == pytest.approx((1 / 3, 1 / 3))


@pytest.mark.parametrize(
    ("content", "reason"),
    [("sofa", "one_word"), ("a poison", "poisoned"), (b"GIF", "image_unknown"), ((), "no_photos")],
)
def test_what_cannot_be_taken_apart_says_why(content, reason):
    with pytest.raises(Reject, match=reason):
        part_effects(content, WordLengths(2), lambda vectors: vectors[:, 0])


def test_a_rest_that_cannot_be_encoded_is_left_out():
    class Refuses(WordLengths):
        def prepare(self, value):
            if "must" not in value:
                raise Reject("lacking", "it must")
            return super().prepare(value)

    parts = part_effects("it must be", Refuses(2), lambda vectors: vectors[:, 0])
    assert [tuple(part.place) for part in parts] == [(0, 2), (8, 10)]
