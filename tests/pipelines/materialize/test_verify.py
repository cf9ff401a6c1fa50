"""What is online is compared with the table, key by key, on a real store of each kind."""

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.materialize.verify import verify
from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.errors import FeatureNotFound

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
NOW = START + 9 * DAY
ENGINE = {"type": "deepfeast.pipelines.engine.BeamEngine"}
KEYS = 10_000


@pytest.fixture
def store(make_store, online_store, tmp_path):
    """A repo with one view, shops: size and vec, valid for a year."""
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Float32, Int64

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="file", path=str(tmp_path / "shops.parquet"), timestamp_field="at")
    fields = [
        Field(name="size", dtype=Int64),
        Field(name="vec", dtype=Array(Float32), vector_length=2),
    ]
    shops = FeatureView(name="shops", entities=[shop], schema=fields, source=source, ttl=365 * DAY)
    made = make_store(shop, source, shops, online_store=online_store, batch_engine=ENGINE)
    yield made
    made.teardown()


def write(store, rows):
    """Replace the source by shops with a day, a size and a vector."""
    columns = {
        "shop_id": list(rows),
        "at": pa.array([START + day * DAY for day, *_ in rows.values()], pa.timestamp("us", "UTC")),
        "size": pa.array([size for _, size, _ in rows.values()], pa.int64()),
        "vec": pa.array([vector for *_, vector in rows.values()], VECTOR_TYPE),
    }
    pq.write_table(pa.table(columns), store.get_data_source("file").path, row_group_size=3000)


def shops(count):
    return {
        f"shop-{number}": (number % 7, number if number % 5 else None, [number / 3, 0.0])
        for number in range(count)
    }


def test_nothing_differs_after_materializing_and_then_what_changed_does(store):
    rows = shops(KEYS) | {"old": (-500, 1, None)}
    write(store, rows)
    store.materialize(START, NOW)
    found = verify(store, "shops", now=NOW)
    nothing = {"missing": 0, "stale": 0, "different": 0, "extra": 0}
    assert (found.keys, found.counts, found.differences) == (KEYS + 1, nothing, [])
    assert found.equal

    rows |= {
        "new": (1, 5, None),
        "shop-1": (8, 1, [1 / 3, 0.0]),
        "shop-2": (2, 2, [2 / 3, 1.0]),
        "shop-3": (2, 3, [1.0, 0.0]),
        "next year": (400, 5, None),
    }
    del rows["shop-4"]
    write(store, rows)
    found = verify(store, "shops", now=NOW)
    told = {one.key["shop_id"]: (one.kind, one.features) for one in found.differences}
    assert told == {
        "new": ("missing", ["size"]),
        "shop-1": ("stale", []),
        "shop-2": ("different", ["vec"]),
        "shop-3": ("different", []),
        "shop-4": ("extra", ["size", "vec"]),
    }
    assert found.counts["different"] == 2
    assert not found.equal


@pytest.mark.parametrize("online_store", ["sqlite"], indirect=True)
def test_a_sample_is_of_that_many_keys(store):
    write(store, shops(50))
    store.materialize(START, NOW)
    found = verify(store, "shops", sample=20, now=NOW)
    assert (found.keys, found.equal, found.counts["extra"]) == (20, True, None)
    assert verify(store, "shops", sample=999, now=NOW).keys == 50
    with pytest.raises(FeatureNotFound, match="Did you mean 'shops'"):
        verify(store, "shop")
