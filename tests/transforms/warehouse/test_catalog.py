"""What the catalogue of a real PostgreSQL says of tables, queries and rights."""

import pyarrow as pa
import pytest

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.warehouse.catalog import (
    Relation,
    arrow_type,
    looking,
    relation_of,
    schema_to_write,
)
from deepfeast.transforms.warehouse.open import open_warehouse
from deepfeast.transforms.warehouse.postgres import reaching, stream, streams

SALES = """
    CREATE TABLE "Sales ""24"" of" (
        "Id" text, "At" timestamptz(3), price numeric(10, 2), tags text[], size real);
"""


@pytest.fixture
def warehouse(make_store, postgres):
    store = make_store(offline_store={"type": STORE, "warehouse": postgres.block})
    return open_warehouse(store.config)


@pytest.fixture
def sales(postgres):
    postgres.run(SALES)
    return postgres.source('"Sales ""24"" of"', "At")


def test_columns_have_the_types_that_postgresql_writes(warehouse, sales):
    with looking(warehouse) as connection:
        found = relation_of(connection, sales)
    assert found.columns == {
        "Id": "text",
        "At": "timestamp(3) with time zone",
        "price": "numeric(10,2)",
        "tags": "text[]",
        "size": "real",
    }
    assert arrow_type(found.columns["At"]) == pa.timestamp("us", "UTC")
    assert arrow_type(found.columns["tags"]) == pa.list_(pa.string())


def test_an_index_is_made_as_told_and_found_then(warehouse, sales, postgres):
    with looking(warehouse) as connection:
        before = relation_of(connection, sales)
    assert before.indexes == ()
    statement = before.index(["Id", "At"])
    assert statement.endswith('"Sales ""24"" of" ("Id", "At");')
    postgres.run(statement.replace("CONCURRENTLY ", ""))  # which no transaction allows
    postgres.run('CREATE INDEX ON "Sales ""24"" of" (price) WHERE price > 5')  # holds not all rows
    with looking(warehouse) as connection:
        after = relation_of(connection, sales)
    assert after.indexes == (("Id", "At"),)
    assert after.indexed(["Id", "At"])
    assert not after.indexed(["At"])


def test_an_index_counts_where_its_first_keys_stand_in_any_order():
    found = Relation({}, indexes=(("b", "a", "at", "c"),))
    assert found.indexed(["a", "b", "at"])
    assert found.indexed(["b"])
    assert not found.indexed(["a", "at"])


def test_a_table_of_parts_is_indexed_at_once_a_view_and_a_query_not(warehouse, postgres):
    postgres.run("CREATE TABLE parts (at timestamptz) PARTITION BY RANGE (at)")
    postgres.run("CREATE VIEW seen AS SELECT * FROM parts")
    query = type(postgres.source("x"))(name="q", query="SELECT 1 AS n", timestamp_field="n")
    with looking(warehouse) as connection:
        parts = relation_of(connection, postgres.source("parts"))
        assert "CONCURRENTLY" not in parts.index(["at"])
        assert relation_of(connection, postgres.source("seen")).table == ""
        assert relation_of(connection, query) == Relation({"n": "integer"})


def test_who_reads_alone_has_no_schema_to_write(make_store, postgres, warehouse):
    schema = postgres.block["db_schema"]
    with looking(warehouse) as connection:
        assert schema_to_write(connection) == schema
    postgres.run(f"CREATE ROLE r{schema} LOGIN", f"GRANT USAGE ON SCHEMA {schema} TO r{schema}")
    block = {**postgres.block, "user": f"r{schema}"}
    store = make_store(offline_store={"type": STORE, "warehouse": block})
    with looking(open_warehouse(store.config)) as connection:
        assert schema_to_write(connection) == ""


def test_a_look_writes_nothing(warehouse, sales):
    def write():
        with reaching(warehouse, "source 's'"), looking(warehouse) as connection:
            connection.execute('DELETE FROM "Sales ""24"" of"')

    with pytest.raises(SourceError, match="read-only"):
        write()


@pytest.mark.skipif(not streams(), reason="adbc-driver-postgresql is not installed")
def test_types_are_what_the_driver_brings(warehouse):
    names = "smallint integer bigint real float8 boolean text varchar(3) char(1) bytea date"
    columns = ", ".join(f"NULL::{name} AS c{place}" for place, name in enumerate(names.split()))
    query = type("Query", (), {"get_table_query_string": lambda self: f"(SELECT {columns})"})()
    with looking(warehouse) as connection:
        told = relation_of(connection, query).columns
    (batch,) = stream(warehouse, f"SELECT {columns}")
    assert [arrow_type(name) for name in told.values()] == batch.schema.types
