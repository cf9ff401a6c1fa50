"""PostgreSQL in its own words: a stream of rows, how many there are when, and what went wrong.

Feast's store fetches a whole result as Python objects. Where the ADBC driver is installed its
query is streamed instead, a few megabytes at a time.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import DeepfeastError, SourceError, SourceNotFound
from deepfeast.transforms.times import in_utc
from deepfeast.transforms.warehouse import spark

if TYPE_CHECKING:
    from deepfeast.transforms.warehouse.open import Warehouse

DRIVER = "adbc_driver_postgresql"
# Held several times over, as it comes, as columns and as it is written.
BATCH_BYTES = 1 << 22
_BATCH = "adbc.postgresql.batch_size_hint_bytes"
# By SQLSTATE: who may not come in, what is not there, what may not be read.
_LOGIN, _NO_TABLE, _NO_COLUMN, _NO_RIGHT = ("28P01", "28000"), "42P01", "42703", "42501"
# By words, where nobody came in and there is no state.
_REFUSED = "authentication failed", "no password supplied"


def speaks(warehouse: Warehouse) -> bool:
    """Tell whether a warehouse is PostgreSQL."""
    return warehouse.kind == "postgres"


def streams() -> bool:
    """Tell whether the driver that streams is installed."""
    return importlib.util.find_spec(DRIVER) is not None


def conninfo(warehouse: Warehouse) -> str:
    """Say how to connect, as Feast does; read only, and with the clock of UTC."""
    from psycopg.conninfo import make_conninfo

    config = warehouse.config.offline_store
    return make_conninfo(
        "",
        host=config.host,
        port=int(config.port),
        dbname=config.database,
        user=config.user,
        password=config.password,
        sslmode=config.sslmode,
        sslkey=config.sslkey_path,
        sslcert=config.sslcert_path,
        sslrootcert=config.sslrootcert_path,
        keepalives_idle=config.keepalives_idle,
        # A time without zone means UTC, as everywhere in Feast, whatever the server's zone is.
        options=f"{_search_path(warehouse)} -c timezone=UTC -c default_transaction_read_only=on",
    )


def _search_path(warehouse: Warehouse) -> str:
    config = warehouse.config.offline_store
    path = (config.db_schema or config.user).strip()
    return f"-c search_path={path}{'' if path == 'public' else ',public'}"


def bare_times(warehouse: Warehouse, source: Any, columns: Sequence[str]) -> list[str]:
    """Name the columns of times that Feast's own session would not take as UTC.

    They have no zone, and the server gives a session a clock that is not that of UTC.
    """
    import psycopg

    theirs = psycopg.conninfo.make_conninfo(conninfo(warehouse), options=_search_path(warehouse))
    is_utc = " AND ".join(f"'2024-0{n}-01'::timestamptz = '2024-0{n}-01Z'" for n in (1, 7))
    with psycopg.connect(theirs) as connection:
        (utc,) = connection.execute(f"SELECT {is_utc}").fetchone() or (False,)
        if utc:
            return []
        asked = ", ".join(map(quoted, columns))
        found = connection.execute(f"SELECT {asked} FROM {rows_of(source)} LIMIT 0").description
    bare = {psycopg.adapters.types[name].oid for name in ("timestamp", "date")}
    return [column.name for column in found or () if column.type_code in bare]


def with_zones(
    warehouse: Warehouse, source: Any, columns: Sequence[str], times: Sequence[str]
) -> Any:
    """Return a source of the same columns, whose times mean UTC in Feast's own session, too."""
    bare = bare_times(warehouse, source, times)
    if not bare:
        return source
    asked = ", ".join(
        f"{quoted(name)}::timestamp AT TIME ZONE 'UTC' AS {quoted(name)}"
        if name in bare
        else quoted(name)
        for name in dict.fromkeys([*columns, *times])
    )
    return type(source)(
        name=source.name,
        query=f"SELECT {asked} FROM {rows_of(source)}",
        timestamp_field=source.timestamp_field,
        created_timestamp_column=source.created_timestamp_column,
        field_mapping=dict(source.field_mapping or {}),
    )


def stream(warehouse: Warehouse, sql: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a query as they come, through ADBC."""
    dbapi: Any = importlib.import_module(f"{DRIVER}.dbapi")
    with (
        contextlib.closing(dbapi.connect(conninfo(warehouse))) as connection,
        contextlib.closing(connection.cursor()) as cursor,
    ):
        cursor.adbc_statement.set_options(**{_BATCH: str(BATCH_BYTES)})
        cursor.execute(sql)
        try:
            yield from cursor.fetch_record_batch()
        except OSError as error:  # as Arrow calls whatever its driver says in the middle
            raise ConnectionError(str(error)) from error


def fetch(warehouse: Warehouse, sql: str) -> pa.Table:
    """Return the rows of a query, all at once, as Feast's store fetches them."""
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres import (
        PostgreSQLRetrievalJob,
    )

    return PostgreSQLRetrievalJob(sql, warehouse.config, full_feature_names=False).to_arrow()


def rows_by_hour(
    warehouse: Warehouse, source: Any, time: str, where: str = "TRUE"
) -> list[tuple[datetime, int]]:
    """Count the rows of each hour.

    Parameters
    ----------
    source : PostgreSQLSource
    time : str
        Its column of times; rows without one are of no hour.
    where : str
        A condition, as SQL.

    Returns
    -------
    list of (datetime, int)
        The first time in the hour, in UTC, and the number of rows; ascending.
    """
    import psycopg

    column = quoted(time)
    sql = (
        f"SELECT MIN({column}::timestamptz), COUNT(*) FROM {rows_of(source)} "
        f"WHERE {column} IS NOT NULL AND ({where}) "
        f"GROUP BY date_trunc('hour', {column}::timestamptz) ORDER BY 1"
    )
    with psycopg.connect(conninfo(warehouse)) as connection:
        found = connection.execute(sql).fetchall()
    return [(in_utc(first), rows) for first, rows in found]


def rows_of(source: Any) -> str:
    """Return what stands behind FROM for a source, a table or a query."""
    return f"{source.get_table_query_string()} AS source_rows"


def windows(
    hours: Sequence[tuple[datetime, int]], most: int
) -> list[tuple[datetime | None, datetime | None]]:
    """Cut time into windows of at most so many rows, as far as hours allow.

    Returns
    -------
    list of (datetime or None, datetime or None)
        From the first to before the second; None for no bound.

    Examples
    --------
    >>> one, two, three = (datetime(2024, 1, 1, hour) for hour in (1, 2, 3))
    >>> cut = windows([(one, 4), (two, 4), (three, 9)], 8)
    >>> [(start and start.hour, end and end.hour) for start, end in cut]
    [(None, 3), (3, None)]
    """
    bounds: list[datetime | None] = [None]
    held = 0
    for first, rows in hours:
        if held and held + rows > most:
            bounds.append(first)
            held = 0
        held += rows
    return list(zip(bounds, [*bounds[1:], None], strict=True))


def quoted(name: str) -> str:
    """Write a name as SQL.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def inside_quotes(names: Iterable[str]) -> list[str]:
    """Write names for Feast's store, which puts quotes around them and doubles none within.

    >>> inside_quotes(['a"b'])
    ['a""b']
    """
    return [quoted(name)[1:-1] for name in names]


def moment(time: datetime) -> str:
    """Write a moment as SQL.

    >>> moment(datetime(2024, 5, 1))
    "'2024-05-01T00:00:00+00:00'::timestamptz"
    """
    return f"'{in_utc(time).isoformat()}'::timestamptz"


@contextlib.contextmanager
def reaching(warehouse: Warehouse, what: str) -> Iterator[None]:
    """Turn what the server or its driver says into an error that names what was read.

    Raises
    ------
    SourceNotFound
        If the server cannot be reached, or the table is not there.
    SourceError
        If it answers with another error, or stops in the middle.
    """
    expected: tuple[type[Exception], ...] = (ConnectionError,)
    if spark.speaks(warehouse.store):
        expected += spark.errors()
    if speaks(warehouse):
        expected += (importlib.import_module("psycopg").Error,)
        if streams():
            expected += (importlib.import_module("adbc_driver_manager").Error,)
    try:
        yield
    except expected as error:
        raise _told(error, warehouse, what) from error
    except pa.ArrowInvalid as error:  # by Feast's store, of values that it cannot bring
        raise SourceError(
            f"{what}: a column comes from the {warehouse.kind} warehouse with values that Arrow "
            f"cannot hold, such as a number larger than a double: {str(error).splitlines()[0]}."
        ) from error


def _told(error: Exception, warehouse: Warehouse, what: str) -> DeepfeastError:
    config = warehouse.config.offline_store
    if spark.speaks(warehouse.store) and isinstance(error, spark.errors()):
        return spark.told(error, what, warehouse.discreet)
    if not speaks(warehouse):
        said = warehouse.discreet(str(error))
        return SourceNotFound(f"{what}: the {warehouse.kind} warehouse stopped to answer: {said}.")
    state = getattr(error, "sqlstate", None) or ""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = warehouse.discreet(lines[0] if lines else type(error).__name__)
    where = f"PostgreSQL at {config.host}:{config.port}, database {config.database!r}"
    if state in _LOGIN or any(words in said for words in _REFUSED):
        return SourceNotFound(
            f"{what}: {where} refuses user {config.user!r} ({said}). Mend user and password in "
            f"offline_store.warehouse."
        )
    if state == _NO_TABLE:
        return SourceNotFound(
            f"{what}: {where} has no such table, or its schema {config.db_schema!r} lacks it "
            f"({said}). Mend the source, or db_schema in offline_store.warehouse."
        )
    if state == _NO_RIGHT:
        return SourceError(
            f"{what}: user {config.user!r} of {where} may not read it ({said}). "
            f"GRANT SELECT ON the table TO {config.user}; nothing more is needed."
        )
    if state == _NO_COLUMN:
        return SourceError(
            f"{what}: {where} lacks a column that is declared ({said}). Mend the source or the "
            f"view, then feast apply."
        )
    if not state or state.startswith(("08", "57")):
        return SourceNotFound(
            f"{what}: {where} does not answer, or stopped to ({said}). Run again."
        )
    return SourceError(f"{what}: {where} answers: {said} (SQLSTATE {state}).")
