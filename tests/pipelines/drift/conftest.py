from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

JANUARY = datetime(2024, 1, 1, tzinfo=timezone.utc)


def titles(random, count):
    """Two words of one to nine letters, of which the encoder sees just these numbers."""
    return [" ".join("x" * n for n in random.integers(1, 10, 2)) for _ in range(count)]


@pytest.fixture(scope="session")
def shop(Shirts, tmp_path_factory):
    """Shirts of January and February, when nothing changes, and of March; only read.

    In March a sixth have long words, and some titles are missing or rejected.
    """
    random = np.random.default_rng(0)
    rows = []
    for month, first in enumerate((JANUARY, JANUARY + timedelta(31), JANUARY + timedelta(60))):
        for number, title in enumerate(titles(random, 120)):
            seller = f"s{month}{number % 40:02d}" if number else None
            if month == 2:
                title = "x" * 40 + " yy" if number % 6 == 1 else title
                title = {3: None, 5: "poison"}.get(number % 12, title)
            rows.append(
                {
                    "id": f"i{month}{number:03d}",
                    "title": title,
                    "seller": seller,
                    "event_timestamp": first + timedelta(hours=number),
                }
            )
    shirts = Shirts(tmp_path_factory.mktemp("drift") / "shop")
    shirts.write(rows)
    shirts.embed(allowed_rejects=1)
    _shelve(shirts)
    known = [row for row in rows if row["title"]]
    labels = pd.DataFrame(known)[["id", "event_timestamp", "seller"]]
    letters = [len(row["title"]) for row in known]
    labels["price"] = np.array(letters, float)
    labels["long"] = np.where(np.array(letters) > 12, "long", "short")
    shirts.labels = labels
    return shirts


def _shelve(shirts):
    """Put some shirts on shelves, and one on another one later."""
    from feast import FeatureView, Field, FileSource
    from feast.types import Int64

    places = [("i0001", 1, 0), ("i0041", 1, 0), ("i0002", 2, 0), ("i0001", 9, 60)]
    rows = [
        {"id": key, "shelf": shelf, "event_timestamp": JANUARY + timedelta(day)}
        for key, shelf, day in places
    ]
    pd.DataFrame(rows).to_parquet(shirts.folder / "shelves.parquet")
    source = FileSource(
        name="shelves_source", path="shelves.parquet", timestamp_field="event_timestamp"
    )
    schema = [Field(name="shelf", dtype=Int64)]
    view = FeatureView(name="shelves", entities=[shirts.entity], schema=schema, source=source)
    shirts.store.apply([view])
