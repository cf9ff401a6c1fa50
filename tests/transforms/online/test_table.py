"""One rule for every online store: a row is written unless the store holds a later one."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from deepfeast.transforms import feast_api
from deepfeast.transforms.errors import RunInProgress
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.online.protos import to_scalars
from deepfeast.transforms.online.seal import Seal
from deepfeast.transforms.online.table import OnlineRows, OnlineTable

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def test_what_is_materialized_is_looked_up(store, write, look):
    write(("a", 1, 10, [1.0, 2.0]), ("a", 2, 20, [3.0, 4.0]), ("b", 1, 7, None))
    store.materialize(START, START + 5 * DAY)
    frame, statuses = look("b", "a", "nobody", "a")
    assert list(frame.columns) == ["size", "vec_000", "vec_001"]
    assert frame["size"].tolist()[:2] == [7, 20]
    assert frame["size"].isna().tolist() == [False, False, True, False]
    assert frame["vec_001"].tolist()[1::2] == [4.0, 4.0]
    assert frame["vec_000"].isna().tolist() == [True, False, True, False]
    assert statuses == ["null", "present", "missing", "present"]


def test_feast_itself_reads_the_same(store, write):
    write(("a", 1, 10, [1.0, 2.0]))
    store.materialize(START, START + 5 * DAY)
    answer = store.get_online_features(["shops:size", "shops:vec"], [{"shop_id": "a"}]).to_dict()
    assert (answer["size"], answer["vec"]) == ([10], [[1.0, 2.0]])


def test_a_value_older_than_its_ttl_is_not_served(store, write, look):
    write(("old", 1, 10, [1.0, 2.0]), ("edge", 5, 50, [5.0, 5.0]))
    store.materialize(START, START + 5 * DAY)
    frame, statuses = look("old", "edge", day=15)
    assert statuses == ["expired", "present"]
    assert frame["vec_000"].isna().tolist() == [True, False]


def test_nothing_older_overwrites(store, write, look):
    write(("a", 3, 30, [3.0, 3.0]))
    store.materialize(START, START + 5 * DAY)
    write(("a", 1, 10, [1.0, 1.0]), ("b", 1, 11, [1.0, 1.0]))
    store.materialize(START, START + 5 * DAY)
    assert look("a", "b")[0]["size"].tolist() == [30, 11]


def test_a_vector_computed_again_for_the_same_event_arrives(store, write, look):
    write(("a", 1, 10, [1.0, 1.0]))
    store.materialize(START, START + 5 * DAY)
    write(("a", 1, 10, [9.0, 9.0]))
    store.materialize(START, START + 5 * DAY)
    assert look("a")[0]["vec_000"].tolist() == [9.0]


def test_times_and_values_come_back_as_written(store):
    view = store.get_feature_view("shops")
    table = online_table(store.provider.online_store, store.config, view)
    at = datetime(2024, 7, 1, 12, 30, 15, tzinfo=timezone.utc)
    rows = OnlineRows([("a",)], [at], {"size": [b"\x20\x05"], "vec": [b""]})
    assert table.write_newer(rows) == 1
    found = table.read([("a",), ("b",)], ["size"])
    assert found.times == [at, None]
    kind = view.features[0].dtype.to_value_type()
    assert to_scalars(found.values["size"], kind) == [5, None]
    older = OnlineRows([("a",)], [at - DAY], {"size": [b"\x20\x07"], "vec": [b""]})
    assert table.write_newer(older) == 0
    np.testing.assert_equal(to_scalars(table.read([("a",)], ["size"]).values["size"], kind), [5])


@pytest.mark.parametrize("online_store", ["sqlite", "redis"], indirect=True)
def test_where_feast_moved_a_name_its_interface_gives_the_same_with_one_warning(
    store, monkeypatch, recwarn, write, look
):
    write(("a", 1, 10, [1.0, 2.0]), ("b", 2, 20, [3.0, 4.0]))
    store.materialize(START, START + 5 * DAY)
    in_its_own_words = look("a", "b", "c")[0]
    online, view = store.provider.online_store, store.get_feature_view("shops")
    assert type(online_table(online, store.config, view)).__name__ in ("SqliteTable", "RedisTable")
    module = type(online).__module__
    moved = feast_api.Name(f"{module}:_moved", "0.99", feast_api.SLOWER)
    monkeypatch.setattr(feast_api, "NAMES", (*feast_api.NAMES, moved))
    monkeypatch.setattr(feast_api, "_warned", set())
    recwarn.clear()
    assert look("a", "b", "c")[0].equals(in_its_own_words)
    assert type(online_table(online, store.config, view)).__name__ == "OnlineTable"
    (told,) = [str(w.message) for w in recwarn if "_moved" in str(w.message)]
    assert f"this Feast has no {module}:_moved" in told


def test_removed_keys_are_gone_and_the_others_stay(store, write, look, table):
    write(("a", 1, 10, [1.0, 2.0]), ("b", 1, 7, [3.0, 4.0]))
    store.materialize(START, START + 5 * DAY)
    assert table.remove([("a",), ("nobody",)]) == 1
    frame, statuses = look("a", "b")
    assert frame["size"].isna().tolist() == [True, False]
    assert statuses == ["missing", "present"]


def test_who_read_rows_before_they_were_removed_writes_no_more(table):
    seal = Seal({"vec": "f1"}, 1, 0, 0, {"vec": ["title", None, "mean"]})
    table.begin(seal, bare=True)
    table.finish(seal)
    rows = OnlineRows([("a",)], [START], {"size": [b""], "vec": [b""]})
    table.write_newer(rows, seal.epoch)
    assert table.remove([("a",)]) == 1
    with pytest.raises(RunInProgress, match="begun anew"):
        table.write_newer(rows, seal.epoch)
    assert table.seal().holds(seal)


@pytest.mark.parametrize("online_store", ["sqlite"], indirect=True)
def test_of_a_store_that_deletes_nothing_the_values_go(store, write, look):
    write(("a", 1, 10, [1.0, 2.0]), ("b", 1, 7, [3.0, 4.0]))
    store.materialize(START, START + 5 * DAY)
    view = store.get_feature_view("shops")
    table = OnlineTable(store.provider.online_store, store.config, view)
    assert table.remove([("a",), ("nobody",)]) == 1
    frame, statuses = look("a", "b")
    assert frame["vec_000"].isna().tolist() == [True, False]
    assert statuses == ["null", "present"]
    assert "no way to delete rows of a SqliteOnlineStore" in table.leaves
