"""What is written to SQLite is what Feast would write, hundreds of values a statement."""

import sqlite3
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest

from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.online import sqlite
from deepfeast.transforms.online.protos import to_scalars, to_values
from deepfeast.transforms.online.table import OnlineRows

pytestmark = pytest.mark.parametrize("online_store", ["sqlite"], indirect=True)

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


def rows(table, sizes, at=START):
    """Make rows of shops 0, 1, ... with sizes and a vector."""
    kinds = {field.name: field.dtype.to_value_type() for field in table.view.features}
    vectors = pa.array([[1.0, 2.0]] * len(sizes), VECTOR_TYPE)
    values: dict[str, list[bytes | None]] = {
        "size": list(to_values(pa.array(sizes, pa.int64()), kinds["size"])),
        "vec": list(to_values(vectors, kinds["vec"])),
    }
    return OnlineRows([(str(n),) for n in range(len(sizes))], [at] * len(sizes), values)


def sizes(table, *ids):
    found = table.read([(name,) for name in ids], ["size"])
    return list(to_scalars(found.values["size"], table.view.features[0].dtype.to_value_type()))


def stored(store, columns):
    with sqlite3.connect(store.config.online_store.path) as connection:
        query = f"SELECT {columns} FROM shop_shops ORDER BY entity_key, feature_name"
        return connection.execute(query).fetchall()


def test_the_rows_are_those_that_feast_writes(store, table):
    import pandas as pd

    assert type(table) is sqlite.SqliteTable
    assert table.write_newer(rows(table, [10, None])) == 2
    ours = stored(store, "entity_key, feature_name, value, value_text, event_ts")
    with sqlite3.connect(store.config.online_store.path) as connection:
        connection.execute("DELETE FROM shop_shops")
    frame = {"shop_id": ["0", "1"], "at": [START] * 2, "vec": [[1.0, 2.0]] * 2}
    frame["size"] = pd.array([10, None], "Int64")
    store.write_to_online_store("shops", pd.DataFrame(frame))
    assert stored(store, "entity_key, feature_name, value, value_text, event_ts") == ours
    assert [text for *_, text, _ in ours] == ["10", None, None, None]


def test_more_keys_than_a_statement_takes_come_back_in_the_order_asked(table, monkeypatch):
    monkeypatch.setattr(sqlite, "SQLITE_VARIABLES", 60)
    assert table.write_newer(rows(table, [*range(100)])) == 100
    asked = ["nobody", *map(str, reversed(range(100)))]
    assert sizes(table, *asked) == [None, *reversed(range(100))]


def test_the_oldest_of_values_written_apart_speaks_for_the_row(table):
    table.write_newer(rows(table, [10]))
    later = rows(table, [11], START + 5 * SECOND)
    table.write_newer(OnlineRows(later.keys, later.times, {"size": later.values["size"]}))
    assert table.read(later.keys, ["size"]).times == [START + 5 * SECOND]
    assert table.read(later.keys, ["size", "vec"]).times == [START]
