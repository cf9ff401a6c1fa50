"""A view of PostgreSQL is emptied and sealed in one transaction."""

from datetime import datetime, timezone
from typing import Any

import pytest

from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.online.postgres import PostgresTable
from deepfeast.transforms.online.seal import Seal
from deepfeast.transforms.online.table import OnlineRows

pytest.importorskip("psycopg")
pytestmark = pytest.mark.parametrize("online_store", ["postgres"], indirect=True)

AT = datetime(2024, 1, 1, tzinfo=timezone.utc)
SEAL = Seal({}, 1, 0, 0, {})


def write(table, *ids):
    values = {"size": [b"\x20\x05"] * len(ids), "vec": [b""] * len(ids)}
    return table.write_newer(OnlineRows([(name,) for name in ids], [AT] * len(ids), values))


@pytest.mark.parametrize("connections", ["singleton", "pool"])
def test_rows_are_listed_removed_and_written_again(store, connections):
    settings = store.config.online_store
    settings.conn_type = type(settings.conn_type)(connections)
    view = store.get_feature_view("shops")
    table = online_table(store.provider.online_store, store.config, view)
    assert type(table) is PostgresTable
    assert write(table, "a", "b") == 2
    assert sorted(*table.keys()) == [("a",), ("b",)]
    table.begin(SEAL)
    assert list(table.keys()) == []
    rows = table.read_sealed([("a",)], ["size"])
    assert (rows.times, rows.values, rows.seals) == (
        [None],
        {"size": [None]},
        (SEAL.broken().to_bytes(),),
    )
    assert write(table, "c") == 1
    assert sorted(*table.keys()) == [("c",)]


def test_a_transaction_that_fails_leaves_all_rows(store, table):
    write(table, "a")
    unwritable: Any = object()
    with pytest.raises(TypeError):
        table.begin(Seal({"vec": unwritable}, 1, 0, 0, {}))
    assert sorted(*table.keys()) == [("a",)]
    assert write(table, "b") == 1
