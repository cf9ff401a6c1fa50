from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfeast.transforms.occlusion.photos import to_bytes

ASIDE = ["Collect it in Oslo.", "Cash only.", "Ask me anything.", "No pets here.", "Sold as it is."]
DEAR = "A luxurious diamond necklace of gold."
CHEAP = "A plain old wooden chair."


def photo(seed, red=False):
    """Draw a photo of three by three patches in shades of grey; one may be red, of place 0 to 8."""
    random = np.random.default_rng(seed)
    shades = random.integers(60, 190, (3, 3, 1)).repeat(3, axis=2).astype(np.uint8)
    if red:
        shades[divmod(seed % 9, 3)] = 230, 20, 20
    return to_bytes(Image.fromarray(shades.repeat(32, axis=0).repeat(32, axis=1)))


@pytest.fixture(scope="session")
def things(Shirts, tmp_path_factory):
    """Sixty things: what one sentence names, and a red patch, make the price; only read."""
    from deepfeast.transforms import DeepFeature, deep_feature_view

    things = Shirts(tmp_path_factory.mktemp("explain") / "things")
    rows: list[dict[str, Any]] = []
    labels = []
    for number in range(60):
        dear, red = number % 2, number % 3 == 0
        what = DEAR if dear else CHEAP
        # Where the sentence stands, and what else is said, tells nothing.
        said = [ASIDE[(number // 2 + shift) % 5] for shift in range(3)]
        said.insert(number // 2 % 4, what)
        key, photos = f"t{number:02d}", [photo(100 + number), photo(number, red)]
        rows.append({"id": key, "text": " ".join(said), "photos": photos})
        labels.append({"id": key, "price": 20.0 + 80 * dear + 40 * red})
    rows += [
        {"id": "bare", "text": None, "photos": None},
        {"id": "word", "text": "chair", "photos": [b"no photo", photo(4, True)]},
    ]
    things.write(rows)
    view = deep_feature_view(
        name="deep",
        entities=[things.entity],
        source=things.source,
        features=[
            DeepFeature("text_vec", column="text", encoder="text-tiny"),
            DeepFeature("photo_vec", column="photos", encoder="image-tiny"),
        ],
    )
    things.store.apply([view])
    things.embed(allowed_rejects=1)
    things.labels = pd.DataFrame(labels)
    things.labels["kind"] = ["dear" if price > 90 else "cheap" for price in things.labels.price]
    things.labels["seller"] = [number // 3 for number in range(60)]
    things.labels.to_parquet(things.folder / "labels.parquet")
    return things
