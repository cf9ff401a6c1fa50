"""Spark in its own words: rows as frames, in which names are quoted and times are moments.

Feast's store for Spark brings times by the clock of the session as if it were that of UTC, reads
ends of spans by that clock, and pastes names unquoted. Here the session has the clock of UTC for
as long as it works for us, and columns are named by Spark's own functions.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.errors import DeepfeastError, SourceError, SourceNotFound
from deepfeast.transforms.files.columns import in_source
from deepfeast.transforms.times import in_utc

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

STORE, OURS, SOURCE = "SparkOfflineStore", "SparkStore", "SparkSource"
ROW = "deepfeast_row"
BATCH_ROWS = 4096
_WHILE_READING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
# The settings above are the session's, whoever else asks it for something meanwhile.
_ALONE = threading.RLock()
_EPOCH = in_utc(datetime(1970, 1, 1))
_DAY, _TICK = timedelta(days=1), timedelta(microseconds=1)


def speaks(store: Any) -> bool:
    """Tell whether a store of Feast's is that for Spark."""
    return type(store).__name__ in (STORE, OURS)


def reads(store: Any, source: Any) -> bool:
    """Tell whether a source of such a store is read as a frame: its tables of Iceberg are not."""
    return speaks(store) and type(source).__name__ == SOURCE


def is_frame(rows: Any) -> TypeGuard[DataFrame]:
    """Tell whether rows are a frame of Spark's."""
    return type(rows).__module__.startswith("pyspark.") and hasattr(rows, "toArrow")


@dataclass(frozen=True)
class Span:
    """Rows by a column of times.

    Attributes
    ----------
    column : str
    start, end : datetime, optional
        Both ends included.
    unknown : bool
        Rows without a time, too.
    """

    column: str
    start: datetime | None = None
    end: datetime | None = None
    unknown: bool = False


@contextlib.contextmanager
def session(settings: Any) -> Iterator[SparkSession]:
    """Give the session that is active, or start one as Feast does; its clock is that of UTC.

    Parameters
    ----------
    settings : SparkOfflineStoreConfig
    """
    from feast.infra.offline_stores.contrib.spark_offline_store.spark import (
        get_spark_session_or_start_new_with_repoconfig,
    )

    # It writes pages of JSON about errors that are raised, and told, anyway.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    with _ALONE:
        spark = get_spark_session_or_start_new_with_repoconfig(settings)
        before = {name: spark.conf.get(name, None) for name in _WHILE_READING}
        try:
            for name, value in _WHILE_READING.items():
                spark.conf.set(name, value)
            yield spark
        finally:
            for name, was in before.items():
                spark.conf.unset(name) if was is None else spark.conf.set(name, was)


def count(settings: Any, source: Any, span: Span) -> int:
    """Count the rows of a span."""
    with session(settings) as spark:
        return int(_rows(spark, source, [span]).count())


def newest(settings: Any, source: Any, column: str) -> datetime | None:
    """Return the latest time of a column; None where it has none."""
    from pyspark.sql import functions

    with session(settings) as spark:
        latest = functions.unix_micros(functions.max(_moment(column)))
        found = _rows(spark, source, []).agg(latest).collect()[0][0]
    return None if found is None else _EPOCH + found * _TICK


def read(
    settings: Any, source: Any, columns: Sequence[str], spans: Sequence[Span]
) -> Iterator[pa.RecordBatch]:
    """Yield columns of the rows that lie in all of some spans; all columns, where none is named."""

    def frame(spark: SparkSession) -> DataFrame:
        rows = _rows(spark, source, spans)
        return rows.select(*map(_column, columns)) if columns else rows

    return _batches(settings, frame)


def query(settings: Any, sql: str) -> pa.Table:
    """Run a query and return its rows, in its order."""
    with session(settings) as spark:
        return spark.sql(sql).toArrow()


def latest(
    settings: Any,
    source: Any,
    keys: Sequence[str],
    columns: Sequence[str],
    order: Sequence[str],
    span: Span,
) -> Iterator[pa.RecordBatch]:
    """Yield the latest row of each key in a span of event time.

    Parameters
    ----------
    order : sequence of str
        The column of event times and, if there is one, that of created times.
    """
    from pyspark.sql import Window, functions

    def frame(spark: SparkSession) -> DataFrame:
        first = Window.partitionBy(*map(_column, keys)).orderBy(*(_moment(n).desc() for n in order))
        rows = _rows(spark, source, [span]).withColumn(ROW, functions.row_number().over(first))
        return rows.where(_column(ROW) == 1).select(*map(_column, columns))

    return _batches(settings, frame)


def join(
    settings: Any,
    source: Any,
    labels: pa.Table,
    keys: Sequence[str],
    features: Sequence[str],
    order: Sequence[str],
    ttl: timedelta | None,
    known: bool,
) -> pa.Table:
    """Put the row that was true at its time beside each label.

    Parameters
    ----------
    labels : Table
        The label's number, its time, and its keys, in the order of `keys`.
    keys, features : sequence of str
        Columns of the source.
    order : sequence of str
        As in `latest`.
    ttl : timedelta, optional
        How old a row may be; None or zero for any age.
    known : bool
        Leave out what was created after the label's time.

    Returns
    -------
    Table
        The label's number, as ``deepfeast_row``, and the features, numbered; of each label once,
        of no label without a row.
    """
    from pyspark.sql import Window, functions

    asked_keys = [f"asked{i}" for i in range(len(keys))]
    asked = labels.rename_columns([ROW, "asked_at", *asked_keys])
    times = pc.min_max(asked.column("asked_at")).as_py()
    earliest = times["min"] - ttl if ttl else None

    def frame(spark: SparkSession) -> DataFrame:
        left = spark.createDataFrame(asked)
        rows = _rows(spark, source, [Span(order[0], earliest, times["max"])])
        named = [_column(name).alias(f"key{i}") for i, name in enumerate(keys)]
        named += [
            functions.unix_micros(_moment(name)).alias(f"at{i}") for i, name in enumerate(order)
        ]
        right = rows.select(*named, *(_column(n).alias(str(i)) for i, n in enumerate(features)))
        at = functions.unix_micros(functions.col("asked_at"))
        on = [_equal(left, right, one, f"key{i}") for i, one in enumerate(asked_keys)]
        on.append(functions.col("at0") <= at)
        if ttl:
            on.append(functions.col("at0") >= at - ttl // _TICK)
        if known and len(order) > 1:
            on.append(functions.col("at1") <= at)
        condition = on[0]
        for other in on[1:]:
            condition = condition & other
        first = Window.partitionBy(ROW).orderBy(
            *(functions.col(f"at{i}").desc() for i in range(len(order)))
        )
        joined = left.join(right, condition).withColumn("place", functions.row_number().over(first))
        found = [_column(str(i)) for i in range(len(features))]
        return joined.where(functions.col("place") == 1).select(ROW, *found)

    return pa.Table.from_batches(list(_batches(settings, frame)))


def _rows(spark: SparkSession, source: Any, spans: Sequence[Span]) -> DataFrame:
    """Return the rows of a source that lie in all of some spans."""
    from pyspark.sql import functions

    frame = spark.sql(f"SELECT * FROM {source.get_table_query_string()}")
    for span in spans:
        frame = _pruned(frame, source, span)
        moment = _moment(span.column)
        inside = functions.lit(True)
        inside = inside & (moment >= _literal(span.start)) if span.start else inside
        inside = inside & (moment <= _literal(span.end)) if span.end else inside
        known = inside & moment.isNotNull()
        frame = frame.where(known | moment.isNull() if span.unknown else known)
    return frame


def _pruned(frame: DataFrame, source: Any, span: Span) -> DataFrame:
    """Leave out partitions of other days, of a source that says what its partitions are called."""
    name = source.date_partition_column
    if not name or span.unknown or span.column != in_source(source, source.timestamp_field):
        return frame
    # A day more: nobody says by whose clock the days are.
    if span.start:
        day = (span.start - _DAY).strftime(source.date_partition_column_format)
        frame = frame.where(_column(name) >= day)
    if span.end:
        day = (span.end + _DAY).strftime(source.date_partition_column_format)
        frame = frame.where(_column(name) <= day)
    return frame


def _column(name: str) -> Column:
    from pyspark.sql import functions

    return functions.col("`" + name.replace("`", "``") + "`")


def _moment(name: str) -> Column:
    return _column(name).try_cast("timestamp")


def _literal(time: datetime) -> Column:
    from pyspark.sql import functions

    return functions.timestamp_micros(functions.lit((in_utc(time) - _EPOCH) // _TICK))


def _equal(left: DataFrame, right: DataFrame, one: str, other: str) -> Column:
    """Compare keys: as texts where one of them is a text, so that no text is read as a number."""
    kinds = {left.schema[one].dataType.simpleString(), right.schema[other].dataType.simpleString()}
    if len(kinds) > 1 and "string" in kinds:
        return left[one].cast("string") == right[other].cast("string")
    return left[one] == right[other]


def _batches(settings: Any, frame: Callable[[SparkSession], DataFrame]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a frame, at least one batch: through files, where they have a place.

    That is the store's ``staging_location``, and any folder where Spark runs on this machine.
    Elsewhere they come all at once.
    """
    from pyarrow import fs

    with contextlib.ExitStack() as stack:
        with session(settings) as spark:
            rows = frame(spark)
            place = settings.staging_location
            if not place and _spills(spark):
                folder = tempfile.TemporaryDirectory(prefix="deepfeast-spark-")
                place = stack.enter_context(folder)
            if place:
                place = place if "://" in place else f"file://{Path(place).resolve()}"
                place = f"{place.rstrip('/')}/deepfeast-{uuid.uuid4().hex}"
                system, path = fs.FileSystem.from_uri(place.replace("s3a://", "s3://", 1))
                stack.callback(_remove, system, path)
                rows.write.parquet(place.replace("s3://", "s3a://", 1))
            else:
                found = rows.toArrow()
        if not place:
            yield from found.to_batches() or [_no_rows(found.schema)]
            return
        yield from _stored(system, path)


def _spills(spark: SparkSession) -> bool:
    """Tell whether Spark writes to the disk that we read from."""
    return str(spark.conf.get("spark.master", "")).startswith("local")


def _remove(system: Any, path: str) -> None:
    from pyarrow import fs

    if system.get_file_info(path).type == fs.FileType.Directory:
        system.delete_dir(path)


def _stored(system: Any, path: str) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq
    from pyarrow import fs

    infos = system.get_file_info(fs.FileSelector(path))
    schema = None
    for name in sorted(info.path for info in infos if info.path.endswith(".parquet")):
        with system.open_input_file(name) as file:
            stored = pq.ParquetFile(file)
            if schema is None:
                schema = stored.schema_arrow.remove_metadata()
                yield _no_rows(schema)
            for batch in stored.iter_batches(BATCH_ROWS):
                yield batch.replace_schema_metadata()


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch that says what the columns are, where there are no rows to do so."""
    return pa.RecordBatch.from_pylist([], schema)


def errors() -> tuple[type[Exception], ...]:
    """Return what Spark raises, and Feast of a path that Spark cannot read."""
    from feast.errors import DataSourceNotFoundException

    return (
        importlib.import_module("pyspark.errors").PySparkException,
        importlib.import_module("py4j.protocol").Py4JError,
        DataSourceNotFoundException,
    )


def told(
    error: Exception, what: str, discreet: Callable[[str], str] = lambda text: text
) -> DeepfeastError:
    """Say what went wrong, and what to do."""
    condition = str(getattr(error, "getCondition", lambda: None)() or "")
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = discreet(lines[0] if lines else type(error).__name__)
    if "JAVA" in condition:
        return SourceNotFound(
            f"{what}: Spark does not start ({said}). It needs Java 17 or later, on the PATH or in "
            f"JAVA_HOME; Debian has it as default-jre-headless."
        )
    if "NOT_FOUND" in condition or type(error).__name__ == "DataSourceNotFoundException":
        return SourceNotFound(f"{what}: Spark has no such table, view or path ({said}).")
    if condition.startswith("UNRESOLVED_COLUMN"):
        return SourceError(
            f"{what}: Spark's rows lack a column that is declared ({said}). Mend the source or the "
            f"view, then feast apply."
        )
    if "maxResultSize" in str(error):
        return SourceError(
            f"{what}: the rows are more than Spark's driver hands out at once ({said}). Set "
            f"offline_store.warehouse.staging_location, or raise spark.driver.maxResultSize."
        )
    return SourceError(f"{what}: Spark answers: {said}.")
