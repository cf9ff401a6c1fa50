"""Rows for a warehouse through Feast's own store: a PostgreSQL that is met as any other is.

Feast's store for it writes none, so that rows are inserted by a store that does.
"""

from datetime import datetime, timezone

import pytest
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres import (
    PostgreSQLOfflineStore,
)

from deepfeast.pipelines.export import destination
from deepfeast.pipelines.export.record import read_exports
from deepfeast.pipelines.forget.certificate import copies
from deepfeast.transforms.errors import SpecError

COLUMNS = "deepfeast_run text, id text, vec float8[], made timestamptz, at timestamptz"


class Broken(Exception):
    """The server stops."""


@pytest.fixture
def appended(closet, monkeypatch):
    """The closet, with the source "vectors"; `writes` succeed before the server stops."""
    monkeypatch.setattr(destination, "speaks", lambda warehouse: False)
    closet.warehouse.run(f"CREATE TABLE vectors ({COLUMNS})")
    source = closet.warehouse.source("vectors", time="at", created_timestamp_column="made")
    closet.shirts.store.apply([source])
    closet.to, closet.writes = "vectors", 100

    def write(config, feature_view, table, progress):
        assert feature_view.batch_source == source
        if not closet.writes:
            raise Broken
        closet.writes -= 1
        for row in table.to_pylist():
            places = ", ".join(["%s"] * len(row))
            insert = f"INSERT INTO vectors ({', '.join(row)}) VALUES ({places})"
            closet.warehouse.run(insert, values=[*row.values()])

    monkeypatch.setattr(PostgreSQLOfflineStore, "offline_write_batch", staticmethod(write))
    return closet


def test_runs_that_are_not_there_are_appended(appended):
    appended.wear("a hat", None)
    assert appended.export().rows == 2
    assert appended.there() == [("a hat", [1, 3]), ("none", None)]
    assert appended.export().rows == 0
    second = appended.wear("a hat", None, "new")
    assert appended.export().runs == [second.run_id]
    assert len(appended.there()) == 3


def test_a_run_that_was_broken_off_comes_again_and_its_rows_tell(appended):
    appended.wear("a hat")
    appended.wear("a hat", "b c")
    appended.writes = 1
    with pytest.raises(Broken):
        appended.export()
    (known,) = read_exports(appended.shirts.table / "_deepfeast").values()
    assert len(known.runs) == 1
    appended.writes = 9
    assert appended.export().rows == 1
    assert appended.there("id") == [("a hat",), ("b c",)]
    # As after a kill between the rows and the note of them.
    path = appended.shirts.table / "_deepfeast" / "exports.json"
    path.write_text(path.read_text().replace(known.runs[0], "lost"))
    assert appended.export().rows == 1
    query = "SELECT DISTINCT ON (id, at, deepfeast_run) id FROM vectors ORDER BY 1"
    assert appended.warehouse.run(query) == [("a hat",), ("b c",)]


def test_another_version_is_refused_and_forgotten_keys_are_named(appended, tmp_path):
    from deepfeast.pipelines.forget.job import forget

    appended.wear("a hat", "b c")
    appended.export()
    (tmp_path / "keys.csv").write_text("id\na hat\n")
    certificate = forget(appended.shirts.store, "deep", tmp_path / "keys.csv")
    (left,) = copies(appended.shirts.table / "_deepfeast", "deep")
    assert left in certificate.remains
    assert left.mend == "Delete them there."
    assert appended.export().notes == [
        "rows of keys that were forgotten later stay there: delete them yourself"
    ]
    appended.wear("b c", rebuild=True)
    with pytest.raises(SpecError, match="has rows of version 1 of view 'deep', whose version 2"):
        appended.export()


def test_the_columns_are_told_and_a_store_that_writes_nothing_says_so(appended, monkeypatch):
    appended.wear("a hat")
    monkeypatch.undo()
    monkeypatch.setattr(destination, "speaks", lambda warehouse: False)
    with pytest.raises(SpecError, match="store of type 'postgres' writes no rows"):
        appended.export()
    appended.warehouse.run("ALTER TABLE vectors RENAME at TO time")
    with pytest.raises(
        SpecError, match=r"just these columns .*: id, at, made, deepfeast_run, vec;"
    ):
        appended.export()
    with pytest.raises(SpecError, match="lies in no PostgreSQL: leave out how vectors are kept"):
        appended.export(kind="array")


def test_a_path_of_spark_takes_rows(Closet, shirts, spark, tmp_path):
    from pyspark.sql import functions

    there = str(tmp_path / "there")
    columns = "id string, at timestamp, made timestamp, deepfeast_run string, vec array<float>"
    spark.session.createDataFrame([], columns).write.parquet(there)
    source = type(spark.source("any"))(
        name="there",
        path=there,
        file_format="parquet",
        timestamp_field="at",
        created_timestamp_column="made",
    )
    closet = Closet(shirts, spark, to="there")
    shirts.store.apply([source])
    closet.wear("red shirt", None)
    assert [closet.export().rows for _ in range(2)] == [2, 0]
    clock = functions.unix_timestamp("at").alias("clock")
    rows = spark.session.read.parquet(there).select("id", "vec", clock).orderBy("id").collect()
    at = datetime(2024, 1, 1, tzinfo=timezone.utc).timestamp()
    assert [tuple(row) for row in rows] == [("none", None, at), ("red shirt", [3, 5], at)]
