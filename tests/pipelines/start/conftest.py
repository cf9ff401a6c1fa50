"""A small shop of furniture, as tables that people have."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

WOODS = ("oak", "pine", "teak", "ash")
THINGS = ("table", "chair", "shelf", "bench", "stool")


def shop(rows=60):
    """Rows whose texts tell the price, and whose width tells a little of it."""
    random = np.random.default_rng(0)
    wood, thing = random.integers(4, size=rows), random.integers(5, size=rows)
    width = random.integers(40, 200, size=rows)
    return pd.DataFrame(
        {
            "sku": [f"s{n:03d}" for n in range(rows)],
            "description": [
                f"a solid {WOODS[w]} {THINGS[t]} from the workshop, number {n}"
                for n, (w, t) in enumerate(zip(wood, thing, strict=True))
            ],
            "width": width,
            "colour": [("red", "blue", "white")[n % 3] for n in range(rows)],
            "price": 20 + 90 * wood + 30 * thing + 0.1 * width + random.normal(size=rows),
        }
    )


def picture(shade):
    file = io.BytesIO()
    Image.new("RGB", (24, 24), (shade, 128, 255 - shade)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def rows():
    return shop()


@pytest.fixture
def folder(tmp_path):
    """A folder with shop.csv."""
    shop().to_csv(tmp_path / "shop.csv", index=False)
    return tmp_path


@pytest.fixture
def photos(tmp_path):
    """Eight photos below pictures/, by their names."""
    (tmp_path / "pictures").mkdir()
    names = [f"{n}.jpg" for n in range(8)]
    for n, name in enumerate(names):
        (tmp_path / "pictures" / name).write_bytes(picture(n * 30))
    return names
