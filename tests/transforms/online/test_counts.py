from datetime import datetime, timedelta, timezone

import pyarrow as pa
from feast import ValueType
from prometheus_client import REGISTRY

from deepfeast.transforms.lookup import OnlineFeatures
from deepfeast.transforms.online.protos import to_values
from deepfeast.transforms.online.table import OnlineRows

DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def told(status):
    labels = {"service": "counted", "status": status}
    return REGISTRY.get_sample_value("deepfeast_lookup_values_total", labels)


def test_values_are_counted_by_status_and_lookups_timed(make_store):
    from feast import Entity, FeatureService, FeatureView, Field, FileSource
    from feast.types import Int64

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="shops",
        entities=[shop],
        schema=[Field(name="size", dtype=Int64), Field(name="beds", dtype=Int64)],
        source=FileSource(name="file", path="shops.parquet", timestamp_field="at"),
        ttl=30 * DAY,
    )
    service = FeatureService(name="counted", features=[view])
    online = OnlineFeatures(make_store(shop, view, service), "counted")
    numbers = list(to_values(pa.array([10, 20]), ValueType.INT64))
    rows = OnlineRows(
        [("a",), ("b",)], [START, START - 40 * DAY], dict.fromkeys(("size", "beds"), numbers)
    )
    online._views[0].table.write_newer(rows)
    online.matrix([{"shop_id": "a"}], now=START)
    assert online.counts.values == {"present": 2}
    asked = [{"shop_id": name} for name in ("a", "b", "nobody")]
    online.frame([*asked, {"shop_id": "new", "beds": 3}, "bad"], now=START, bad_rows="reject")
    assert online.counts.values == {
        "present": 4,
        "expired": 2,
        "missing": 3,
        "given": 1,
        "rejected": 2,
    }
    assert online.counts.lookups == 2
    assert online.counts.seconds > 0
    assert (told("present"), told("expired"), told("given")) == (4, 2, 1)
    labels = {"service": "counted"}
    assert REGISTRY.get_sample_value("deepfeast_lookup_seconds_count", labels) == 2
    seconds = REGISTRY.get_sample_value("deepfeast_lookup_seconds_sum", labels)
    assert abs(seconds - online.counts.seconds) < 1e-6
