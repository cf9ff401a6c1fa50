"""Rows saved in PostgreSQL are all there, or no table is."""

import pyarrow as pa
import pytest
from feast.errors import SavedDatasetLocationAlreadyExists

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.errors import NotWritable, SpecError
from deepfeast.transforms.warehouse import postgres as dialect
from deepfeast.transforms.warehouse.open import open_warehouse
from deepfeast.transforms.warehouse.save import save_rows

pytestmark = pytest.mark.skipif(
    not dialect.streams(), reason="adbc-driver-postgresql is not installed"
)
ROWS = pa.table(
    {"n": [1, None], "At": pa.array([0, 1], pa.timestamp("us", "UTC")), "vec": [[1.0, 2.0], None]}
)


@pytest.fixture
def warehouse(make_store, postgres):
    return open_warehouse(
        make_store(offline_store={"type": STORE, "warehouse": postgres.block}).config
    )


def test_parts_become_one_table(warehouse, postgres):
    save_rows(warehouse, '"May be"', [ROWS, ROWS])
    found = postgres.run('SELECT n, "At" = \'epoch\', vec FROM "May be" ORDER BY "At"')
    assert found == [(1, True, [1, 2])] * 2 + [(None, False, None)] * 2
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        save_rows(warehouse, '"May be"', [ROWS])
    save_rows(warehouse, '"May be"', [ROWS], overwrite=True)
    assert postgres.run('SELECT count(*) FROM "May be"') == [(2,)]


def test_of_what_fails_on_the_way_no_table_is_left(warehouse, postgres):
    def parts():
        yield ROWS
        raise ValueError("the second part")

    postgres.run("CREATE TABLE old (a int)")
    for table in ("new", "old"):
        with pytest.raises(Exception, match="the second part"):
            save_rows(warehouse, table, parts(), overwrite=True)
    assert postgres.run("SELECT to_regclass('new'), to_regclass('old')") == [(None, "old")]


def test_who_may_not_and_what_is_no_name(warehouse, postgres, monkeypatch):
    role = f"saver_{postgres.block['db_schema']}"
    postgres.run(
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA {postgres.block['db_schema']} TO {role}",
    )
    with pytest.raises(SpecError, match="names no table"):
        save_rows(warehouse, "a.b.c", [ROWS])
    warehouse.config.offline_store.user = role
    with pytest.raises(NotWritable, match="GRANT CREATE ON SCHEMA"):
        save_rows(warehouse, "t", [ROWS])
    monkeypatch.setattr(dialect, "streams", lambda: False)
    with pytest.raises(SpecError, match=r"pip install 'deepfeast\[postgres\]'"):
        save_rows(warehouse, "t", [ROWS])
