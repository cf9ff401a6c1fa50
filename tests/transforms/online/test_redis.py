"""What is written to Redis is what Feast would write, and is read as Feast does."""

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest

from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.lookup import OnlineFeatures
from deepfeast.transforms.online.protos import to_scalars, to_values
from deepfeast.transforms.online.redis import RedisTable
from deepfeast.transforms.online.table import OnlineRows

redis = pytest.importorskip("redis")
pytestmark = pytest.mark.parametrize("online_store", ["redis"], indirect=True)

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def client(store):
    """Redis itself, holding nothing of this repo yet."""
    address = store.config.online_store.connection_string.split(",")[0]
    client = redis.from_url(f"redis://{address}")
    client.flushdb()
    return client


def rows(table, *ids, size=10):
    kinds = {field.name: field.dtype.to_value_type() for field in table.view.features}
    vectors = pa.array([[1.0, 2.0]] * len(ids), VECTOR_TYPE)
    values: dict[str, list[bytes | None]] = {
        "size": list(to_values(pa.array([size] * len(ids), pa.int64()), kinds["size"])),
        "vec": list(to_values(vectors, kinds["vec"])),
    }
    return OnlineRows([(name,) for name in ids], [START] * len(ids), values)


def held(client):
    return {key: client.hgetall(key) for key in client.scan_iter()}


def test_the_hashes_are_those_that_feast_writes(store, table, client):
    import pandas as pd

    assert type(table) is RedisTable
    assert table.write_newer(rows(table, "a", "b")) == 2
    ours = held(client)
    client.flushdb()
    frame = {"shop_id": ["a", "b"], "at": [START] * 2, "size": [10] * 2, "vec": [[1.0, 2.0]] * 2}
    store.write_to_online_store("shops", pd.DataFrame(frame))
    assert held(client) == ours
    assert len(ours) == 2
    answer = store.get_online_features(["shops:size"], [{"shop_id": "a"}]).to_dict()
    assert answer["size"] == [10]


def test_many_keys_come_back_in_the_order_asked(table, client):
    names = [f"shop-{number}" for number in range(500)]
    table.write_newer(rows(table, *names))
    asked = [("nobody",), *[(name,) for name in reversed(names)], ("nobody else",)]
    found = table.read(asked, ["size"])
    assert found.keys == asked
    assert found.times == [None, *[START] * 500, None]
    kind = table.view.features[0].dtype.to_value_type()
    assert list(to_scalars(found.values["size"], kind)) == [None, *[10] * 500, None]


def test_keys_expire_where_the_store_says_so(store, table, client):
    table.write_newer(rows(table, "a"))
    assert [client.ttl(key) for key in client.scan_iter()] == [-1]
    store.config.online_store.key_ttl_seconds = 100
    table.write_newer(rows(table, "a"))
    assert [0 < client.ttl(key) <= 100 for key in client.scan_iter()] == [True]


def test_a_lost_connection_is_opened_again(store, write):
    write(("a", 1, 10, [1.0, 1.0]))
    store.materialize(START, START + 5 * DAY)
    online = OnlineFeatures(store, "model")
    now = START + DAY
    assert online.frame([{"shop_id": "a"}], now=now)["size"].tolist() == [10]
    address = store.config.online_store.connection_string.split(",")[0]
    pytest.importorskip("redis").from_url(f"redis://{address}").client_kill_filter(_type="normal")
    assert online.frame([{"shop_id": "a"}], now=now)["size"].tolist() == [10]
