from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
TITLES = {"a": "red shirt", "b": "hat", "c": "tie", "d": "blue shirt", "e": None, "f": "poison"}


@pytest.fixture(scope="session")
def wardrobe(Shirts, tmp_path_factory):
    """Six shirts, one of them renamed on the second day, with prices and sizes; only read."""
    from feast import FeatureView, Field, FileSource
    from feast.types import Float64, Int64

    shirts = Shirts(tmp_path_factory.mktemp("search") / "wardrobe")
    day = timedelta(days=1)
    rows = [{"id": key, "title": title} for key, title in TITLES.items()]
    shirts.write([*rows, {"id": "c", "title": "red shoes", "event_timestamp": FIRST + day}])
    shirts.embed(allowed_rejects=1)
    prices = [("a", 5.0, 1), ("b", 9.0, 2), ("c", 2.0, 3), ("a", 50.0, 1), ("d", None, 4)]
    times = [FIRST, FIRST, FIRST, FIRST + 3 * day, FIRST]
    pq.write_table(
        pa.table(
            {
                "id": [key for key, _, _ in prices],
                "price": pa.array([price for _, price, _ in prices], pa.float64()),
                "size": [size for _, _, size in prices],
                "event_timestamp": pa.array(times, pa.timestamp("us", "UTC")),
            }
        ),
        shirts.folder / "prices.parquet",
    )
    views = [
        FeatureView(
            name=name,
            entities=[shirts.entity],
            ttl=day,
            schema=[Field(name=one, dtype=kind) for one, kind in schema.items()],
            source=FileSource(
                name=f"{name}_source", path="prices.parquet", timestamp_field="event_timestamp"
            ),
        )
        for name, schema in {
            "prices": {"price": Float64, "size": Int64},
            "old_prices": {"size": Int64},
        }.items()
    ]
    shirts.store.apply(views)
    return shirts
