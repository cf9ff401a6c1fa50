"""Measure the generated listings: the handcrafted columns, with noise, gaps and corrections."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from deepfeast.pipelines.demo.market import texts
from deepfeast.pipelines.demo.market.item import DAY, UTC, Item
from deepfeast.pipelines.demo.market.items import WEIGHTS


def stats_table(items: Sequence[Item], rng: np.random.Generator) -> pa.Table:
    """Return the handcrafted features as they were measured, noted and corrected over time."""
    skill = np.array([item.seller_part for item in items]) / WEIGHTS["seller"]
    rows = [
        row
        for item, seller_skill in zip(items, skill, strict=True)
        for row in measured(item, float(seller_skill), rng)
    ]
    schema = pa.schema(
        [
            ("listing_id", pa.string()),
            ("event_timestamp", UTC),
            ("created_timestamp", UTC),
            ("seller_rating", pa.float64()),
            ("n_photos", pa.int64()),
            ("age_years", pa.float64()),
            ("width_cm", pa.float64()),
            ("category_code", pa.string()),
            ("views_7d", pa.int64()),
            ("shipping_km", pa.float64()),
        ]
    )
    rows.sort(key=lambda row: (row[1], row[0], row[2]))
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)


def measured(item: Item, skill: float, rng: np.random.Generator) -> list[tuple]:
    """Return what the columns say of one listing, from its first day to after its sale."""
    gaps = rng.random(4) < (0.08, 0.2, 0.12, 0.1)
    rating = float(np.clip(4.3 + 0.25 * skill + rng.normal(0, 0.35), 1, 5).round(1))
    age = float(np.round(texts.ERAS[item.era][1] * np.exp(rng.normal(0, 0.45))))
    width = float(np.round(item.width_cm * np.exp(rng.normal(0, 0.04))))
    shipping = float(np.round(rng.gamma(2, 60), 1))
    rows: list[tuple] = []
    when = item.listed
    for visit in range(int(rng.integers(2, 6))):
        filled = ~gaps | (rng.random(4) < 0.25 * (visit > 1))
        expected = np.exp(2.8 + 0.45 * item.demand + rng.normal(0, 0.25))
        views = int(rng.poisson(expected * (when < item.sale)))
        row = (
            item.listing_id,
            when,
            when + int(rng.uniform(0.02, 2) * DAY),
            rating if filled[0] else None,
            item.album,
            age if filled[1] else None,
            width if filled[2] else None,
            item.kind,
            views if filled[3] else None,
            shipping,
        )
        rows.append(row)
        if rng.random() < 0.02:
            corrected = row[2] + int(rng.uniform(1, 5) * DAY)
            rows.append((*row[:2], corrected, *row[3:8], views, shipping))
        when += int(rng.uniform(4, 12) * DAY)
    return rows
