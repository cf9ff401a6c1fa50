"""Feast's own reads keep to the ttl, whatever the store makes of time zones."""

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest
from feast import ValueType

from deepfeast.transforms.errors import HalfMaterialized
from deepfeast.transforms.features import DeepFeature, DeepViewSpec
from deepfeast.transforms.online.fresh import FreshStore
from deepfeast.transforms.online.protos import to_values
from deepfeast.transforms.online.seal import Seal
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


@pytest.mark.parametrize("online_store", ["sqlite"], indirect=True)
def test_feast_computes_nothing_from_rows_that_are_half_written(store, table):
    spec = DeepViewSpec("shops", "raw", (DeepFeature("vec", "title", "text-tiny"),))
    view = store.get_feature_view("shops")
    view.tags = {"deepfeast": spec.to_tag()}
    store.apply([view])
    seal = Seal({"vec": "f1"}, 1, 0, 0, {})
    table.begin(seal)
    fresh = FreshStore(store.provider.online_store, START)
    with pytest.raises(HalfMaterialized):
        fresh.features(store, ["shops:size"], {"shop_id": ["a"]}, False)
    table.finish(seal)
    found = fresh.features(store, ["shops:size"], {"shop_id": ["a"]}, False).to_dict()
    assert found["size"] == [None]
