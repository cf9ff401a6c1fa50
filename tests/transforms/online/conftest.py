"""A small repo over a real online store of each kind."""

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.lookup import OnlineFeatures
from deepfeast.transforms.online.open import online_table

ENGINE = {"type": "deepfeast.pipelines.engine.BeamEngine"}
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def store(make_store, online_store, tmp_path):
    """A repo with one view, shops: size and vec, valid for ten days."""
    from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Float32, Int64

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="file", path=str(tmp_path / "shops.parquet"), timestamp_field="at")
    fields = [
        Field(name="size", dtype=Int64),
        Field(name="vec", dtype=Array(Float32), vector_length=2),
    ]
    shops = FeatureView(name="shops", entities=[shop], schema=fields, source=source, ttl=10 * DAY)
    model = FeatureService(name="model", features=[shops])
    made = make_store(
        shop,
        source,
        shops,
        model,
        offline_store={"type": "file"},
        online_store=online_store,
        batch_engine=ENGINE,
    )
    yield made
    made.teardown()


@pytest.fixture
def write(store):
    """To replace the source by rows of (shop_id, day, size, vec)."""

    def write(*rows):
        ids, days, sizes, vectors = zip(*rows, strict=True)
        times = pa.array([START + day * DAY for day in days], pa.timestamp("us", "UTC"))
        columns = {
            "shop_id": list(ids),
            "at": times,
            "size": pa.array(sizes, pa.int64()),
            "vec": pa.array(vectors, VECTOR_TYPE),
        }
        pq.write_table(pa.table(columns), store.get_data_source("file").path)

    return write


@pytest.fixture
def look(store):
    """To look shops up on some day: their frame, and the statuses of their vectors."""

    def look(*ids, day=5):
        frame, statuses = OnlineFeatures(store, "model").frame(
            [{"shop_id": name} for name in ids], statuses=True, now=START + day * DAY
        )
        return frame, statuses["vec"].tolist()

    return look


@pytest.fixture
def table(store):
    """The view, in the store's own words."""
    view = store.get_feature_view("shops")
    return online_table(store.provider.online_store, store.config, view)
