"""Images of every kind become upright RGB; bad ones become rejects, never crashes."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from deepfeast.transforms.errors import Reject
from deepfeast.transforms.images import decode

RED, BLUE = (255, 0, 0), (0, 0, 255)


def saved(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixel(data, x=0, y=0):
    image = decode(data)
    assert image.mode == "RGB"
    return image.getpixel((x, y))


def reason(call):
    with pytest.raises(Reject) as caught:
        call()
    return caught.value.reason


def test_an_image_lying_on_its_side_is_set_upright():
    image = Image.new("RGB", (20, 10), BLUE)
    image.paste(RED, (0, 0, 10, 10))
    exif = Image.Exif()
    exif[274] = 6  # turn right: what was left is up
    upright = decode(saved(image, "JPEG", exif=exif, quality=95))
    assert upright.size == (10, 20)
    assert np.allclose(np.asarray(upright)[[3, 17], 5], [RED, BLUE], atol=30)


@pytest.mark.parametrize(
    "kind, shorter, expected",
    [
        ("JPEG", 100, (120, 240)),  # a quarter would leave 60
        ("JPEG", 30, (30, 60)),
        ("JPEG", 500, (240, 480)),
        ("JPEG", None, (240, 480)),
        ("PNG", 30, (240, 480)),
    ],
)
def test_a_large_jpeg_is_decoded_at_reduced_size(kind, shorter, expected):
    image = Image.new("RGB", (480, 240), BLUE)
    exif = Image.Exif()
    exif[274] = 6
    found = decode(saved(image, kind, exif=exif), shorter=shorter)
    assert found.size == expected
    assert np.allclose(found.getpixel((5, 5)), BLUE, atol=8)


def test_cmyk():
    assert np.allclose(
        pixel(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")), RED, atol=8
    )


def test_sixteen_bits_are_scaled_and_not_cut_off():
    pixels = np.array([[0, 32768, 65535]], dtype=np.uint16)
    image = decode(saved(Image.fromarray(pixels)))
    assert [image.getpixel((x, 0)) for x in range(3)] == [(0,) * 3, (128,) * 3, (255,) * 3]


def test_a_dark_image_of_sixteen_bits_stays_dark():
    assert pixel(saved(Image.fromarray(np.full((2, 2), 200, dtype=np.uint16)))) == (1, 1, 1)


def test_a_palette_with_holes_shows_white():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 255, 0, 255, 0, 0])
    image.putpixel((0, 0), 0)
    data = saved(image, transparency=0)
    assert pixel(data, 0, 0) == (255, 255, 255)
    assert pixel(data, 1, 1) == RED


def test_half_transparent_red_over_white_is_pink():
    assert np.allclose(
        pixel(saved(Image.new("RGBA", (2, 2), (255, 0, 0, 128)))), (255, 127, 127), atol=1
    )


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixel(data) == RED


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey(mode):
    assert pixel(saved(Image.new("L", (4, 4), 255).convert(mode))) == (255, 255, 255)


def test_arrays_and_open_images_too():
    assert pixel(np.full((2, 3, 3), 7, np.uint8)) == (7, 7, 7)
    assert pixel(Image.new("L", (2, 2), 9)) == (9, 9, 9)
    assert reason(lambda: decode(np.zeros((2, 2), np.float32))) == "not_an_image"


def test_a_bomb_is_refused_before_it_is_decoded():
    data = saved(Image.new("1", (12_000, 12_000)))  # 18 MB as bits, 2 KB as a file
    started = time.perf_counter()
    assert reason(lambda: decode(data)) == "image_too_large"
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_half_a_file_is_a_reject(kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(Image.fromarray(noise), kind)
    assert reason(lambda: decode(data[: len(data) // 2])) in ("image_truncated", "image_broken")


def test_any_damage_gives_an_image_or_a_reject():
    random = np.random.default_rng(0)
    noise = Image.fromarray(random.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"):
        whole = np.frombuffer(saved(noise, kind), np.uint8)
        for _ in range(40):
            damaged = whole.copy()
            damaged[random.integers(0, len(whole), 6)] = random.integers(0, 256, 6)
            try:
                found = decode(damaged.tobytes()).mode
            except Reject as reject:
                found = reject.reason
            assert found == "RGB" or found.startswith("image_")


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_what_is_no_image_is_said(data):
    assert reason(lambda: decode(data)) == "image_unknown"
