"""Spark in its own words: names that must be quoted, and times that are moments."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from feast import RepoConfig

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.errors import SourceError, SourceNotFound
from deepfeast.transforms.files.slices import read_slice
from deepfeast.transforms.warehouse import spark as dialect
from deepfeast.transforms.warehouse.open import data_uri, open_warehouse, rows_from
from deepfeast.transforms.warehouse.postgres import reaching
from deepfeast.transforms.warehouse.pull import Asked, count_rows, pull_table
from deepfeast.transforms.warehouse.raw import Wanted, newest_time, read_raw

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# In the hour that the clock of New York has twice, which a session there could not tell apart.
START = datetime(2024, 11, 3, 5, 30, tzinfo=timezone.utc)
KEYS = {"id": pa.string()}


@pytest.fixture(scope="module")
def config(spark, tmp_path_factory):
    return RepoConfig(
        project="shop",
        provider="local",
        registry="registry.db",
        offline_store={"type": STORE, "warehouse": spark.block},
        entity_key_serialization_version=3,
        repo_path=tmp_path_factory.mktemp("repo"),
    )


@pytest.fixture(scope="module")
def warehouse(config):
    return open_warehouse(config)


@pytest.fixture(scope="module")
def ticks(spark):
    """Five rows, an hour apart, and one without a time; odd names, and times without a zone."""
    name, hours = "ticks", "id * INTERVAL '1' HOUR"
    spark.session.sql(
        f"SELECT id AS `n``(x)`, TIMESTAMP '{START.isoformat()}' + {hours} AS `At.x`, "
        f"TIMESTAMP_NTZ '{START:%Y-%m-%d %H:%M:%S}' + {hours} AS bare FROM range(5) "
        f"UNION ALL SELECT 9, NULL, NULL"
    ).createOrReplaceTempView(name)
    return spark.source(name, "At.x")


@pytest.fixture(params=["files", "at once", "staging"])
def way(request, warehouse, monkeypatch, tmp_path):
    """Through files of this machine, at once as from a cluster, and through a staging folder."""
    settings = warehouse.config.offline_store
    if request.param == "at once":
        monkeypatch.setattr(dialect, "_spills", lambda spark: False)
    if request.param == "staging":
        monkeypatch.setattr(settings, "staging_location", str(tmp_path))
    return settings


def numbers(batches):
    return sorted(row["n`(x)"] for batch in batches for row in batch.to_pylist())


@pytest.mark.parametrize("time", ["At.x", "bare"])
def test_both_ends_of_a_span_are_moments_whatever_the_clock_of_the_session(way, ticks, time):
    span = dialect.Span(time, START + HOUR, START + 2 * HOUR)
    found = list(dialect.read(way, ticks, ["n`(x)", time], [span]))
    assert numbers(found) == [1, 2]
    (moments,) = pa.Table.from_batches(found).select([time]).columns
    assert moments.cast(pa.timestamp("us", "UTC")).to_pylist() == [START + HOUR, START + 2 * HOUR]
    span = dialect.Span(time, end=START, unknown=True)
    assert numbers(dialect.read(way, ticks, [], [span])) == [0, 9]


def test_no_rows_have_their_columns(way, ticks, tmp_path):
    found = list(dialect.read(way, ticks, ["n`(x)"], [dialect.Span("At.x", end=START - DAY)]))
    assert [batch.num_rows for batch in found] == [0]
    assert (found[0].schema.names, found[0].schema.types) == (["n`(x)"], [pa.int64()])
    assert list(tmp_path.iterdir()) == []  # nothing is left where it was staged


def test_the_clock_of_the_session_is_as_it_was(spark, warehouse, ticks):
    with dialect.session(warehouse.config.offline_store) as session:
        assert session.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.session.conf.get("spark.sql.session.timeZone") == "America/New_York"


def test_rows_are_counted_and_pulled_with_a_day_around_them(warehouse, ticks):
    asked = Asked(ticks, ("n`(x)",), (), "At.x", start=START + DAY, end=START + DAY)
    assert count_rows(warehouse, asked) == 5
    table = pull_table(warehouse, asked, {"n`(x)": pa.int32()}, "v")
    assert table.schema.field("n`(x)").type == pa.int32()
    assert len(table) == 5


def test_the_newest_time_is_a_moment(config, ticks):
    assert newest_time(config, ticks) == START + 4 * HOUR
    bare = type(ticks)(name="bare", table="ticks", timestamp_field="bare")
    assert newest_time(config, bare) == START + 4 * HOUR


def test_keys_that_read_alike_in_a_row_are_told_apart(warehouse, spark):
    rows = "('a', 'bc', 1, 1), ('ab', 'c', 2, 1), ('1', '01', 3, 9)"
    table = spark.table(rows, "one, two, n, hour")
    at = "TIMESTAMP '2024-05-01 00:00:00Z' + hour * INTERVAL '1' HOUR AS at"
    query = f"SELECT one, two, n, {at} FROM {table}"
    source = type(spark.source(table))(name="pairs", query=query, timestamp_field="at")
    noon = datetime(2024, 5, 2, tzinfo=timezone.utc)
    labels = pa.table(
        {"r": [0, 1, 2], "t": [noon] * 3, "1": ["a", "ab", "x"], "2": ["bc", "c", "bc"]}
    )

    def joined(ttl=None):
        args = (source, labels, ["one", "two"], ["n"], ["at"], ttl, False)
        found = dialect.join(warehouse.config.offline_store, *args)
        return sorted(zip(*(column.to_pylist() for column in found.columns), strict=True))

    assert joined() == joined(ttl=23 * HOUR) == [(0, 1), (1, 2)]
    assert joined(ttl=23 * HOUR - timedelta(microseconds=1)) == []


def test_partitions_of_other_days_are_not_read(config, warehouse, spark, tmp_path):
    frame = spark.session.sql(
        "SELECT id, TIMESTAMP '2024-05-01 00:00:00Z' + id * INTERVAL '1' DAY AS at, "
        "date_format(DATE '2024-05-01' + INT(id), 'yyyyMMdd') AS day FROM range(30)"
    )
    frame.write.partitionBy("day").parquet(str(tmp_path / "days"))
    (tmp_path / "days" / "day=20240525" / "part-bad.parquet").write_text("damaged")
    source = type(spark.source("x"))(
        name="days",
        path=str(tmp_path / "days"),
        file_format="parquet",
        timestamp_field="at",
        date_partition_column="day",
        date_partition_column_format="%Y%m%d",
    )
    at = datetime(2024, 5, 10, tzinfo=timezone.utc)
    span = dialect.Span("at", at, at + DAY)
    assert dialect.count(warehouse.config.offline_store, source, span) == 2
    assert rows_from(source) == str(tmp_path / "days")
    assert data_uri(config, source) == f"spark://{tmp_path}/days"


def test_raw_rows_come_that_are_newer_or_of_no_known_time(config, spark, tmp_path):
    table = spark.table(
        "(1, TIMESTAMP '2024-05-01 00:00:00Z', TIMESTAMP_NTZ '2024-05-01', 'old'), "
        "(2, TIMESTAMP '2024-05-01 00:00:00Z', TIMESTAMP_NTZ '2024-05-09', 'new'), "
        "(3, NULL, NULL, 'never')",
        "number, at, written, body",
    )
    mapped = {"number": "id", "body": "text"}
    source = spark.source(table, "at", created_timestamp_column="written", field_mapping=mapped)

    def read(**wanted):
        raw = read_raw(config, source, KEYS, ["text"], tmp_path / "scratch", Wanted(**wanted))
        batches = (b for part in raw.source.slices for _, b in read_slice(part, ["id", "text"]))
        return raw, sorted((row["id"], row["text"]) for b in batches for row in b.to_pylist())

    raw, rows = read()
    assert rows == [("1", "old"), ("2", "new"), ("3", "never")]
    newest = datetime(2024, 5, 9, tzinfo=timezone.utc)
    assert raw.newest == int(newest.timestamp() * 1e6)
    assert read(newer=newest)[1] == [("2", "new"), ("3", "never")]
    assert read(since=newest)[1] == [("3", "never")]


def test_what_is_wrong_is_told_by_name(warehouse, spark, ticks):
    settings = warehouse.config.offline_store
    for source, columns, kind, told in [
        (spark.source("nope"), ["n"], SourceNotFound, "no such table, view or path .*`nope`"),
        (ticks, ["m"], SourceError, "lack a column that is declared .*`m`"),
        (
            type(ticks)(name="gone", path="/nowhere", file_format="parquet", timestamp_field="t"),
            ["n"],
            SourceNotFound,
            "no such table, view or path .*'/nowhere'",
        ),
        (
            type(ticks)(name="q", query="SELECT 1 / 0 AS n, now() AS t", timestamp_field="t"),
            ["n"],
            SourceError,
            "Spark answers: .*DIVIDE_BY_ZERO",
        ),
    ]:
        with pytest.raises(kind, match=f"view 'v': .*{told}"), reaching(warehouse, "view 'v'"):
            list(dialect.read(settings, source, columns, []))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Total size is bigger than spark.driver.maxResultSize (1g)", "staging_location, or raise"),
        ("", "Spark answers: RuntimeError"),
    ],
)
def test_other_errors_say_what_to_do(said, told):
    assert told in str(dialect.told(RuntimeError(said), "view 'v'"))


def test_without_java_spark_says_what_it_needs(tmp_path, monkeypatch):
    import subprocess
    import sys

    pytest.importorskip("pyspark")
    code = (
        "from pyspark.errors import PySparkException\n"
        "from pyspark.sql import SparkSession\n"
        "from deepfeast.transforms.warehouse import spark\n"
        "try:\n    SparkSession.builder.getOrCreate()\n"
        "except PySparkException as error: print(spark.told(error, 'view v'))"
    )
    env = {"PATH": str(tmp_path), "HOME": str(Path.home())}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120
    )
    assert "view v: Spark does not start" in done.stdout, done.stderr
