"""What is written to SQLite is what Feast would write, hundreds of values a statement."""

import shutil
import sqlite3
import struct
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from feast import ValueType

from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.errors import SourceNotFound
from deepfeast.transforms.online import sqlite
from deepfeast.transforms.online.open import online_table
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


def moved(store, table):
    """Move the database aside, and put a copy of it with other sizes in its place."""
    path = Path(store.config.online_store.path)
    aside = path.with_suffix(".aside")
    path.rename(aside)
    shutil.copy(aside, path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM shop_shops WHERE feature_name = 'size'")
    return path, aside


def test_a_long_lived_lookup_reads_the_file_that_lies_there_now(store, table):
    table.write_newer(rows(table, [10, 20]))
    other = online_table(store.provider.online_store, store.config, table.view)
    assert sizes(table, "0") == sizes(other, "0") == [10]
    path, aside = moved(store, table)
    assert sizes(table, "0") == sizes(other, "0") == [None]
    aside.replace(path)
    assert sizes(table, "0", "1") == sizes(other, "0", "1") == [10, 20]


def test_a_file_that_is_gone_or_another_is_told(store, table):
    table.write_newer(rows(table, [10]))
    path = Path(store.config.online_store.path)
    path.rename(path.with_suffix(".aside"))
    with pytest.raises(SourceNotFound, match=f"was at {path}, and there is nothing now"):
        sizes(table, "0")
    assert not path.exists()
    sqlite3.connect(path).execute("CREATE TABLE other (id)").connection.close()
    with pytest.raises(SourceNotFound, match="has no table of view 'shops'"):
        sizes(table, "0")
    path.with_suffix(".aside").replace(path)
    assert sizes(table, "0") == [10]


def test_a_lookup_notices_a_replaced_store(store, table, write):
    from deepfeast.transforms.lookup import OnlineFeatures

    write(("a", 0, 10, [1.0, 2.0]))
    store.materialize(START - timedelta(days=1), START + timedelta(days=1))
    path = Path(store.config.online_store.path)
    shutil.copy(path, path.with_suffix(".first"))
    write(("a", 0, 11, [1.0, 2.0]))
    lookup = OnlineFeatures(store, service="model")
    store.materialize(START - timedelta(days=1), START + timedelta(days=1))
    assert lookup.frame([{"shop_id": "a"}], now=START)["size"].tolist() == [11]
    path.with_suffix(".first").replace(path)
    assert lookup.frame([{"shop_id": "a"}], now=START)["size"].tolist() == [10]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_no_byte_of_a_removed_row_stays_in_the_file(store, table, tmp_path, mode):
    # Some builds of SQLite overwrite what they delete, others do not.
    table._connection.execute("PRAGMA secure_delete = OFF")
    table._connection.execute(f"PRAGMA journal_mode = {mode}")
    found = rows(table, [111])
    found.keys = [("person-without-a-name",)]
    found.values["vec"] = list(
        to_values(pa.array([[0.123, 0.456]], VECTOR_TYPE), ValueType.FLOAT_LIST)
    )
    table.write_newer(found)
    files = list(tmp_path.rglob("online.db*"))
    assert any(b"person-without" in path.read_bytes() for path in files)
    table.remove(found.keys)
    vector = struct.pack("<f", 0.123)
    for path in tmp_path.rglob("online.db*"):
        assert b"person-without" not in path.read_bytes()
        assert vector not in path.read_bytes()
