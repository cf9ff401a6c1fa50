"""One thing that is offered on the generated marketplace: its true factors, and its price.

Tables, texts and photos show parts of an item, none of them all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

DAY = 86_400_000_000  # microseconds
UTC = pa.timestamp("us", tz="UTC")


class Item(NamedTuple):
    """The true factors of one listing, and the parts of its log price they cause."""

    listing_id: str
    seller_id: str
    kind: str
    width_cm: float
    album: int
    demand: float
    brand: str
    brand_stated: bool
    material: int
    era: int
    soundness: int
    story: int
    colour: str
    shape: float
    wear: float
    handcrafted_part: float
    text_part: float
    photo_part: float
    seller_part: float
    noise_part: float
    photo_damaged: bool
    sold: bool
    listed: int
    sale: int
    room: int

    @property
    def price(self) -> float:
        """What it was sold for, to the cent."""
        return round(float(np.exp(self.log_price)), 2)

    @property
    def log_price(self) -> float:
        """The sum of the parts."""
        return (
            self.handcrafted_part
            + self.text_part
            + self.photo_part
            + self.seller_part
            + self.noise_part
        )
