"""Feast's own reads keep to the ttl, whatever the store makes of time zones."""

from datetime import datetime, timedelta, timezone

import pyarrow as pa
from feast import ValueType

from deepfeast.transforms.online.fresh import FreshStore
from deepfeast.transforms.online.protos import to_values
from deepfeast.transforms.online.table import OnlineRows

DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def test_a_value_counts_up_to_its_ttl_and_no_longer(store, table):
    sizes = list(to_values(pa.array([10]), ValueType.INT64))
    table.write_newer(OnlineRows([("a",)], [START], {"size": sizes}))
    for now, size in ((START + 10 * DAY, 10), (START + 10 * DAY + timedelta(seconds=1), None)):
        fresh = FreshStore(store.provider.online_store, now)
        found = fresh.features(store, ["shops:size"], {"shop_id": ["a", "b"]}, False).to_dict()
        assert found["size"] == [size, None]
