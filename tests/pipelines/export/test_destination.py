"""What stands behind --to: a source of the warehouse, or a table of PostgreSQL by its name."""

import pytest
from feast import FileSource
from feast.data_source import PushSource

from deepfeast.pipelines.export.destination import find_destination
from deepfeast.transforms.errors import SpecError

OURS = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"


@pytest.fixture
def store(make_store, postgres):
    table = postgres.source("vectors")
    query = postgres.source("x", "at")
    query = type(query)(name="asked", query="SELECT 1", timestamp_field="at")
    pushed = PushSource(name="pushed", batch_source=table)
    raw = FileSource(name="raw", path="raw.parquet", timestamp_field="at")
    offline = {"type": OURS, "warehouse": postgres.block}
    return make_store(table, query, pushed, raw, offline_store=offline)


def test_a_source_and_what_lies_behind_a_pushed_one_are_its_table(store, postgres):
    for to in ("vectors", "pushed"):
        found = find_destination(store, to)
        assert (found.to, found.table, found.source.name) == (to, "vectors", "vectors")
        assert found.uri.endswith(f"/postgres.{postgres.block['db_schema']}.vectors")


def test_a_table_of_the_warehouse_needs_no_source(store):
    found = find_destination(store, "public.vectors")
    assert (found.table, found.source) == ("public.vectors", None)
    assert found.uri.startswith("postgres://127.0.0.1:")


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("vector", "no source 'vector' .*Did you mean 'vectors'"),
        ("asked", "the source 'asked' is a query: name one that is a table"),
        ("raw", "the source 'raw' lies in files: an export is for a warehouse"),
    ],
)
def test_what_is_no_table_is_told(store, to, told):
    with pytest.raises(SpecError, match=told):
        find_destination(store, to)


def test_without_a_warehouse_there_is_none(make_store):
    with pytest.raises(SpecError, match=r"no source 'public\.t' in project 'shop'\. It has: none"):
        find_destination(make_store(), "public.t")
