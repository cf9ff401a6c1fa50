"""Where a view's history comes from: files, what was pulled, what was joined elsewhere."""

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest
from feast import Entity, FeatureView, ValueType

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.errors import JoinError
from deepfeast.transforms.history.sources import Histories, seen
from deepfeast.transforms.history.views import JoinedHistory
from deepfeast.transforms.warehouse.ask import Labels

DAY = timedelta(days=1)
NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)
ITEM = Entity(name="item", join_keys=["id"], value_type=ValueType.STRING)


def labels(*times):
    at = pa.array(times, pa.timestamp("ns", "UTC"))
    return Labels(pa.table({"id": ["a"] * len(times), "at": at}), "at")


@pytest.fixture
def shop(make_store, postgres):
    postgres.run(
        "CREATE TABLE items (id text, event_timestamp timestamptz, n int)",
        "INSERT INTO items VALUES ('a', '2024-05-01Z', 1), ('a', '2024-05-09Z', 2)",
    )
    view = FeatureView(name="items", entities=[ITEM], source=postgres.source("items"), ttl=5 * DAY)
    return make_store(ITEM, view, offline_store={"type": STORE, "warehouse": postgres.block})


def histories(shop):
    return Histories(shop.config, shop.registry, "shop", full_names=True)


def test_a_span_reaches_back_by_the_ttl_and_without_one_for_ever():
    asked = labels(NOON, None, NOON - DAY)
    assert (seen(asked, DAY).start, seen(asked, DAY).end) == (NOON - 2 * DAY, NOON)
    assert seen(asked, None).start is None
    assert seen(asked, timedelta(days=999_999)).start is None
    assert seen(labels(None), None) == seen(labels(), DAY)


def test_a_short_history_comes_here_and_a_long_one_is_joined_there(shop):
    view = shop.get_feature_view("items")
    asked = labels(NOON, NOON - 9 * DAY)
    here = histories(shop).of(view, ["n"], asked)
    assert list(here.features) == ["items__n"]
    assert here.table.schema.names == ["id", "n", "event_timestamp"]
    shop.config.offline_store.pull_rows = 1
    there = histories(shop).of(view, ["n"], asked)
    assert isinstance(there, JoinedHistory)
    assert there.table.schema.names == ["n"]
    assert there.rows.tolist() == [0, 1]
    assert there.table.take(there.rows, ["n"])["n"].to_pylist() == [2, 1]


def test_entities_of_a_range_must_not_be_too_many_to_come(shop):
    view = shop.get_feature_view("items")
    found = histories(shop).entities_between([view], NOON - 20 * DAY, NOON)
    assert found["id"].tolist() == ["a", "a"]
    shop.config.offline_store.pull_rows = 1
    with pytest.raises(JoinError, match=r"'items' has 2 rows in that range, more than .*pull_rows"):
        histories(shop).entities_between([view], NOON - 20 * DAY, NOON)
