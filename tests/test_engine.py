"""``feast materialize`` through Beam, on real repos: what lands online, and what never does."""

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.errors import SpecError

ENGINE = {"type": "deepfeast.pipelines.engine.BeamEngine", "runner": "FnApiRunner"}
DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def table(*rows):
    """Rows of (shop_id, day, size, vec)."""
    ids, days, sizes, vectors = zip(*rows, strict=True)
    return pa.table(
        {
            "shop_id": pa.array(ids, pa.string()),
            "at": pa.array([START + day * DAY for day in days], pa.timestamp("us", "UTC")),
            "size": pa.array(sizes, pa.int64()),
            "vec": pa.array(vectors, VECTOR_TYPE),
        }
    )


def shops(source, **view):
    """The entity and the view over a source."""
    from feast import Entity, FeatureService, FeatureView, Field, ValueType
    from feast.types import Array, Float32, Int64

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    fields = [
        Field(name="size", dtype=Int64),
        Field(name="vec", dtype=Array(Float32), vector_length=2),
    ]
    shops = FeatureView(
        name="shops", entities=[shop], schema=fields, source=source, ttl=0 * DAY, **view
    )
    return [shop, source, shops, FeatureService(name="model", features=[shops])]


def online(store, *ids):
    """What the online store holds, through Feast's own eyes."""
    answer = store.get_online_features(
        ["shops:size", "shops:vec"], [{"shop_id": name} for name in ids]
    ).to_dict()
    return dict(zip(ids, zip(answer["size"], answer["vec"], strict=True), strict=True))


@pytest.fixture
def parquet_store(make_store, tmp_path):
    from feast import FileSource

    path = tmp_path / "shops.parquet"

    def make(*rows, engine=ENGINE, **view):
        pq.write_table(table(*rows), path, row_group_size=2)
        source = FileSource(name="shops_file", path=str(path), timestamp_field="at")
        return make_store(
            *shops(source, **view), batch_engine=engine, offline_store={"type": "file"}
        )

    return make


def test_the_latest_row_in_the_span_is_served(parquet_store):
    store = parquet_store(
        ("a", 1, 10, [1.0, 2.0]),
        ("a", 2, 20, [3.0, 4.0]),
        ("a", 9, 90, [9.0, 9.0]),
        ("b", 1, None, None),
        (None, 1, 5, [5.0, 5.0]),
    )
    store.materialize(START, START + 5 * DAY)
    assert online(store, "a", "b", "c") == {
        "a": (20, [3.0, 4.0]),
        "b": (None, None),
        "c": (None, None),
    }


def test_delta_sources_are_read(make_store, tmp_path):
    from deltalake import write_deltalake
    from feast import FileSource
    from feast.data_format import DeltaFormat

    path = str(tmp_path / "delta")
    write_deltalake(path, table(("a", 1, 10, [1.0, 2.0])))
    write_deltalake(path, table(("a", 2, 20, [3.0, 4.0]), ("b", 2, 7, None)), mode="append")
    source = FileSource(name="d", path=path, file_format=DeltaFormat(), timestamp_field="at")
    store = make_store(*shops(source), batch_engine=ENGINE, offline_store={"type": "file"})
    store.materialize(START, START + 5 * DAY)
    assert online(store, "a", "b") == {"a": (20, [3.0, 4.0]), "b": (7, None)}


def test_an_older_span_overwrites_nothing(parquet_store):
    store = parquet_store(("a", 1, 10, [1.0, 2.0]), ("a", 3, 30, [3.0, 4.0]))
    store.materialize(START, START + 5 * DAY)
    store.materialize(START, START + 2 * DAY)
    assert online(store, "a") == {"a": (30, [3.0, 4.0])}


def test_a_runner_that_loses_rows_is_refused(parquet_store):
    store = parquet_store(("a", 1, 10, [1.0, 2.0]), engine={**ENGINE, "runner": "DaskRunner"})
    with pytest.raises(SpecError, match="rows would be lost"):
        store.materialize(START, START + 5 * DAY)
