"""One item, and its price."""

from typing import Any

import numpy as np

from deepfeast.pipelines.demo.market.items import invent


def test_a_price_is_the_product_of_the_parts_to_the_cent():
    (item,) = invent(1, seed=7)
    parts: dict[str, Any] = {name: 0.0 for name in item._fields if name.endswith("_part")}
    item = item._replace(**parts | {"handcrafted_part": np.log(100.0), "text_part": np.log(1.5)})
    assert len(parts) == 5
    assert item.log_price == np.log(100.0) + np.log(1.5)
    assert item.price == 150.0
    assert item._replace(noise_part=np.log(1 / 3)).price == 50.0
    assert item._replace(photo_part=0.001).price == 150.15
