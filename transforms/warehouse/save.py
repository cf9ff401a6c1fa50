"""Rows saved as a table of PostgreSQL: all of them, or no table."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import NotWritable, SpecError
from deepfeast.transforms.warehouse import postgres
from deepfeast.transforms.warehouse.target import name_parts

if TYPE_CHECKING:
    from deepfeast.transforms.warehouse.open import Warehouse


def save_rows(
    warehouse: Warehouse, table: str, parts: Iterable[pa.Table], *, overwrite: bool = False
) -> None:
    """Make a table of rows, in one transaction.

    Parameters
    ----------
    table : str
        Its name as PostgreSQL reads it, with or without a schema.
    parts : iterable of Table
        At least one; written one after another, so that they need not fit in memory together.
    overwrite : bool
        A table that is there is dropped.

    Raises
    ------
    SavedDatasetLocationAlreadyExists
        If there is such a table, and it is not to be overwritten.
    NotWritable, SourceNotFound, SourceError
        If the user may not make it, or the server does not answer, or refuses.
    SpecError
        If the driver is not installed, or the name is none.
    """
    if not postgres.streams():
        raise SpecError(
            "to save a dataset in PostgreSQL takes its driver: pip install 'deepfeast[postgres]'."
        )
    dbapi: Any = importlib.import_module(f"{postgres.DRIVER}.dbapi")
    first = next(parts := iter(parts))
    batches = (batch for part in _all(first, parts) for batch in part.to_batches())
    reader = pa.RecordBatchReader.from_batches(first.schema, batches)
    what, conninfo = f"the saved dataset in {table}", postgres.conninfo(warehouse)
    with postgres.reaching(warehouse, what):
        schema, name = _place(warehouse, table, what, overwrite)
        with (
            contextlib.closing(dbapi.connect(conninfo, autocommit=True)) as opened,
            contextlib.closing(opened.cursor()) as cursor,
        ):
            cursor.execute("SET default_transaction_read_only = off")
            opened.adbc_connection.set_autocommit(False)
            mode = "replace" if overwrite else "create"
            cursor.adbc_ingest(name, reader, mode=mode, db_schema_name=schema)
            opened.adbc_connection.commit()


def _place(warehouse: Warehouse, table: str, what: str, overwrite: bool) -> list[str]:
    """Return schema and name of a table that may be made."""
    import psycopg
    from feast.errors import SavedDatasetLocationAlreadyExists

    with psycopg.connect(postgres.conninfo(warehouse)) as connection:
        schema, name = name_parts(connection, table, warehouse.config.offline_store.db_schema)
        query = "SELECT to_regclass(%s) IS NOT NULL, has_schema_privilege(%s, 'CREATE')"
        quoted = f"{postgres.quoted(schema)}.{postgres.quoted(name)}"
        ((there, may),) = connection.execute(query, [quoted, schema]).fetchall()
    if there and not overwrite:
        raise SavedDatasetLocationAlreadyExists(location=table)
    if not may:
        user = warehouse.config.offline_store.user
        raise NotWritable(
            f"{what}: user {user!r} may make no table there. GRANT CREATE ON SCHEMA {schema} TO "
            f"{user}; or save it to files."
        )
    return [schema, name]


def _all(first: pa.Table, others: Iterable[pa.Table]) -> Iterable[pa.Table]:
    yield first
    for part in others:
        yield part.cast(first.schema)
