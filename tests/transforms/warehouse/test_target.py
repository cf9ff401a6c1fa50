"""A table of PostgreSQL that takes rows: what it is kept as, and what is refused."""

import pyarrow as pa
import pytest

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.errors import (
    NotWritable,
    RunInProgress,
    SourceError,
    SourceNotFound,
    SpecError,
)
from deepfeast.transforms.warehouse import target
from deepfeast.transforms.warehouse.open import open_warehouse

AT = pa.array([0], pa.timestamp("us", "UTC"))
LAYOUT = target.Layout({"id": pa.string()}, "at", "made", {"vec": 2})


@pytest.fixture
def write(make_store, postgres):
    """To write one row to a table, of a run, with a vector."""
    store = make_store(offline_store={"type": STORE, "warehouse": postgres.block})
    return writer(store)


@pytest.fixture
def write_vector(make_store, pgvector):
    """Likewise where pgvector is."""
    store = make_store(offline_store={"type": STORE, "warehouse": pgvector.block})
    return writer(store)


def writer(store, **settings):
    import numpy as np

    store.config.offline_store.warehouse.update(settings)
    warehouse = open_warehouse(store.config)

    def write(table="vectors", key="a", run="one", vector=(1, 2), kind=None):
        layout = target.Layout({"id": pa.string()}, "at", "made", {"vec": len(vector)})
        rows = pa.table({"id": [key], "at": AT, "made": AT})
        with target.open_target(warehouse, table, layout, kind, "what") as opened:
            with opened.copying() as copy:
                copy.add(rows, [run], {"vec": np.array([vector], np.float32)})
            return opened.runs()

    write.again = lambda **settings: writer(store, **settings)  # type: ignore[attr-defined]
    write.warehouse = warehouse  # type: ignore[attr-defined]
    return write


def test_a_table_is_made_and_knows_its_runs(write, postgres):
    assert write() == {"one"}
    assert write(run="two") == {"one", "two"}
    found = postgres.run("SELECT id, at = 'epoch', vec, deepfeast_run FROM vectors ORDER BY 4")
    assert found == [("a", True, [1, 2], "one"), ("a", True, [1, 2], "two")]


def test_of_a_failed_block_nothing_is_there(write, postgres):
    with pytest.raises(SourceError, match=r"row id='a\\x00b' cannot be kept .* no NUL in a text"):
        write(key="a\0b")
    assert postgres.run("SELECT to_regclass('vectors')") == [(None,)]


def test_runs_and_keys_are_removed(write, postgres):
    for key in ("a", "b"):
        write(key=key, run=f"of {key}")
    with target.open_target(write.warehouse, "vectors", LAYOUT, None, "what") as opened:
        assert [table["id"].to_pylist() for table in opened.distinct_keys()] == [["a", "b"]]
        assert opened.remove_runs([]) == 0
        assert opened.remove_runs(["of a", "of none"]) == 1
        assert opened.remove_keys([{"id": "a"}, {"id": "b"}]) == 1
        opened.index()
    assert postgres.run("SELECT * FROM vectors") == []


def test_who_comes_second_waits_and_then_says_so(write, monkeypatch):
    monkeypatch.setattr(target, "WAIT_SECONDS", 1)
    with target.open_target(write.warehouse, "vectors", LAYOUT, None, "the other"):
        with pytest.raises(RunInProgress, match="another session writes to vectors"):
            write()
        write(table="another")


def test_vectors_of_pgvector_are_found_by_their_distance(write_vector, pgvector):
    for key, vector in {"near": (3, 4), "far": (-9, 0), "none": (float("nan"),) * 2}.items():
        write_vector(key=key, vector=vector, kind="vector")
    found = "SELECT id FROM vectors WHERE vec IS NOT NULL ORDER BY vec <-> '[4, 6]'"
    assert pgvector.run(found) == [("near",), ("far",)]
    # Without a word of it, they are what the table has.
    assert write_vector(run="two") == {"one", "two"}
    with pytest.raises(SpecError, match=r"vec should be real\[\], and it is vector"):
        write_vector(kind="array")
    with pytest.raises(SpecError, match=r"vec should be vector\(3\), and it is vector\(2\)"):
        write_vector(vector=(1, 2, 3))


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("id text", "at should be timestamp with time zone, and there is none; "),
        ("id int, at timestamp", "id should be text or .* it is integer; at should be"),
    ],
)
def test_a_table_with_other_columns_is_left_as_it_is(write, postgres, columns, told):
    postgres.run(f"CREATE TABLE vectors ({columns})")
    with pytest.raises(SpecError, match=told + ".*drop this one: an export makes it anew"):
        write()


def test_rows_of_no_run_are_somebody_elses(write, postgres):
    write()
    postgres.run(
        "ALTER TABLE vectors ALTER deepfeast_run DROP NOT NULL",
        "UPDATE vectors SET deepfeast_run = NULL",
    )
    with pytest.raises(SpecError, match="rows that no export put there: their deepfeast_run"):
        write()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kind": "vector"}, "no type vector. CREATE EXTENSION vector"),
        ({"table": "nowhere.t"}, 'schema "nowhere" does not exist. CREATE SCHEMA first'),
        ({"table": "a.b.c"}, "'a.b.c' names no table of PostgreSQL"),
        ({"table": 'a"'}, "names no table of PostgreSQL"),
    ],
)
def test_what_cannot_be_made_is_told(write, options, told):
    with pytest.raises(SpecError, match=told):
        write(**options)


def test_who_may_not_write_is_told_what_to_grant_and_a_password_is_not_told(write, postgres):
    schema = postgres.block["db_schema"]
    role = f"reader_{schema}"
    postgres.run(
        f"CREATE ROLE {role} LOGIN PASSWORD 'hush-hush'",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
    )
    made = r"GRANT USAGE, CREATE .*CREATE TABLE vectors .*\"vec\" real\[\].*SELECT, INSERT, DELETE"
    with pytest.raises(NotWritable, match=made) as denied:
        write.again(user=role, password="hush-hush")()
    write()
    with pytest.raises(NotWritable, match="permission denied for table vectors"):
        write.again()()
    with pytest.raises(SourceNotFound, match="does not answer") as down:
        write.again(port=1)()
    assert "hush" not in f"{denied.value}{down.value}"


def test_the_server_may_break_off(write, postgres):
    def write_on():
        with target.open_target(write.warehouse, "vectors", LAYOUT, None, "what") as opened:
            (pid,) = opened.connection.execute("SELECT pg_backend_pid()").fetchone()
            postgres.run(f"SELECT pg_terminate_backend({pid})")
            opened.runs()

    with pytest.raises(SourceNotFound, match=r"what: PostgreSQL at .* or stopped to"):
        write_on()
    assert postgres.run("SELECT to_regclass('vectors')") == [(None,)]
