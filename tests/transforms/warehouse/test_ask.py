"""What a warehouse is asked to compute itself."""

from datetime import datetime, timezone

import pandas as pd
import pyarrow as pa
import pytest

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.warehouse.ask import Labels, query_rows
from deepfeast.transforms.warehouse.open import open_warehouse

NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)


@pytest.fixture
def warehouse(make_store, postgres):
    store = make_store(offline_store={"type": STORE, "warehouse": postgres.block})
    return open_warehouse(store.config)


def test_a_query_gives_its_rows_in_its_order_also_those_without_a_time(warehouse, postgres):
    postgres.run("CREATE TABLE sales (id int, event_timestamp timestamptz)")
    postgres.run("INSERT INTO sales VALUES (2, '2024-05-10 12:00Z'), (1, NULL), (3, NULL)")
    sql = "SELECT id, event_timestamp FROM sales ORDER BY id DESC ;\n"
    found = query_rows(warehouse, sql, postgres.source("sales"))
    assert found.columns.tolist() == ["id", "event_timestamp"]
    assert found["id"].tolist() == [3, 2, 1]
    assert pd.to_datetime(found["event_timestamp"], utc=True).tolist() == [pd.NaT, NOON, pd.NaT]


def test_a_wrong_query_says_what_the_server_says(warehouse, postgres):
    with pytest.raises(SourceError, match=r'given as entity_df: .*"nope" does not exist'):
        query_rows(warehouse, "SELECT * FROM nope", postgres.source("sales"))


def test_labels_without_a_key_or_a_time_are_not_sent():
    table = pa.table({"id": ["a", None, "c"], "at": pa.array([NOON, NOON, None])})
    sent = Labels(table, "at").numbered(["id"])
    assert sent.to_dict("list") == {
        "id": ["a"],
        "event_timestamp": [NOON],
        "deepfeast_row": [0],
    }
