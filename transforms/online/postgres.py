"""One feature view in Feast's PostgreSQL store, in the layout that Feast reads and writes.

A write is one statement for all values of a batch, and newer wins inside the statement itself. It
holds the seal against whoever would begin the view anew, until its rows are there.
"""

from __future__ import annotations

import select
import threading
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.errors import SourceNotFound, SpecError
from deepfeast.transforms.feast_api import postgres_connection, postgres_table
from deepfeast.transforms.online.protos import to_vectors
from deepfeast.transforms.online.seal import SEAL_FEATURE, Seal, check_epoch
from deepfeast.transforms.online.table import (
    Key,
    OnlineRows,
    OnlineTable,
    search_texts,
)
from deepfeast.transforms.warehouse.binary import REALS, real_arrays, takes_ready

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from feast import FeatureView, RepoConfig

LISTED = 10_000
BYTES = 17  # the number of the type bytea
# Of Feast's table, where neither search by vector nor by number is on.
COLUMNS = {
    "entity_key",
    "feature_name",
    "value",
    "value_text",
    "vector_value",
    "event_ts",
    "created_ts",
}
# Where Feast's store has one connection for all threads, it has one transaction.
_single = threading.Lock()


class PostgresTable(OnlineTable):
    """One view in Feast's PostgreSQL store."""

    emptiable = True

    def __init__(self, store: Any, config: RepoConfig, view: FeatureView):
        super().__init__(store, config, view)
        self._table = postgres_table(config, view)
        self._seal_key = self.entity_keys.serialize(self.entity_keys.own())
        self._strays = False

    def read(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        encoded = [*map(self.entity_keys.to_bytes, keys)]
        values, times = self._columns(encoded, features)
        return OnlineRows(list(keys), times, values)

    def read_sealed(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        # One statement, so one moment.
        encoded = [*map(self.entity_keys.to_bytes, keys), self._seal_key]
        values, times = self._columns(encoded, [*features, SEAL_FEATURE])
        seal = values.pop(SEAL_FEATURE)[-1]
        del times[-1]
        for column in values.values():
            del column[-1]
        return OnlineRows(list(keys), times, values, seals=(seal,))

    def _columns(
        self, encoded: list[bytes], features: Sequence[str]
    ) -> tuple[dict[str, list[bytes | None]], list[datetime | None]]:
        """Read values by feature, and of each key the oldest time: it speaks for the row."""
        # To compare the names of all values would take as long as to find them.
        named = self._strays or not self._kinds.keys() <= set(features)
        values: dict[str, list[bytes | None]] = {name: [None] * len(encoded) for name in features}
        times: list[datetime | None] = [None] * len(encoded)
        for row, names, cells, time in self._select(encoded, features if named else None):
            times[row] = _from_postgres(time)
            for name, cell in zip(names, cells, strict=True):
                if name not in values:  # the view had it once: its time is not to count
                    self._strays = True
                    return self._columns(encoded, features)
                values[name][row] = cell
        return values, times

    def _select(
        self, encoded: list[bytes], features: Sequence[str] | None
    ) -> list[tuple[int, list[str], list[bytes], datetime | None]]:
        """Read of each key that is known its place, and names, values and oldest time."""
        every, named = self._queries
        asked: list[Any] = [encoded] if features is None else [encoded, [*features]]
        with self._connection(autocommit=True) as connection:
            cursor = connection.cursor(binary=True)
            found: list[Any] = cursor.execute(
                every if features is None else named, asked
            ).fetchall()
        return found

    @cached_property
    def _queries(self) -> tuple[bytes, bytes]:
        """To read all values of some keys, and those of some names.

        A key is a row, so that little is sent and made objects of. Each is looked up by the index,
        also in a table that nobody analyzed yet. Feast writes the UTC clock without its zone: the
        session's zone is taken off again.
        """
        every, named = (
            self._sql(
                "SELECT place::int4 - 1, names, cells, time "
                "FROM unnest(%b::bytea[]) WITH ORDINALITY AS keys(key, place), LATERAL ("
                "SELECT array_agg(feature_name) AS names, array_agg(value) AS cells, "
                "min(event_ts::timestamp) AS time "
                f"FROM {{}} WHERE entity_key = key {which}) AS found WHERE names IS NOT NULL"
            )
            for which in ("", "AND feature_name = ANY(%b::text[])")
        )
        return every.as_bytes(None), named.as_bytes(None)

    def seal_bytes(self) -> bytes | None:
        found, _ = self._columns([self._seal_key], [SEAL_FEATURE])
        return found[SEAL_FEATURE][0]

    def write_newer(self, rows: OnlineRows, epoch: str | None = None) -> int:
        if not self._plain:
            return super().write_newer(rows, epoch)
        # In the order of their keys, so that writers of the same rows wait for each other in turn.
        keys = [self.entity_keys.to_bytes(key) for key in rows.keys]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        names = sorted(rows.values)
        values = [[rows.values[name][row] or b"" for row in order] for name in names]
        texts = [
            # PostgreSQL takes no NUL in a text. It is for search: the value itself has it.
            [text and text.replace("\0", " ") for text in search_texts(column, self._kinds[name])]
            for name, column in zip(names, values, strict=True)
        ]
        created = rows.created or [None] * len(keys)
        # Row by row, so that what is read together lies together on disk.
        sent = [
            [*chain.from_iterable(zip(*values, strict=True))],
            [*chain.from_iterable(zip(*texts, strict=True))],
            [keys[row] for row in order],
            [_to_postgres(rows.times[row]) for row in order],
            [_to_postgres(created[row]) for row in order],
            len(names),
            names,
            len(names),
        ]
        column, vector = "", ""
        name, dim = self._searched
        if name in rows.values:
            # All vectors as one array, of which each row takes its own.
            found = [rows.values[name][row] for row in order]
            matrix = to_vectors(found, dim, self._kinds[name])
            column = ", vector_value"
            vector = (
                ", CASE WHEN name = %b::text AND value <> '' THEN (%b::float4[])"
                "[(row - 1)::int4 * %b::int4 + 1 : row::int4 * %b::int4]::vector END"
            )
            sent = [name, real_arrays(matrix.reshape(1, -1))[0], dim, dim, *sent]
        insert = self._sql(
            "INSERT INTO {} AS stored "
            f"(entity_key, feature_name, value, value_text, event_ts, created_ts{column}) "
            f"SELECT key, name, value, text, time, created{vector} "
            "FROM unnest(%b::bytea[], %b::text[]) WITH ORDINALITY AS cells(value, text, n) "
            "JOIN unnest(%b::bytea[], %b::timestamp[], %b::timestamp[]) WITH ORDINALITY "
            "AS keys(key, time, created, row) ON row = (n - 1) / %b::int8 + 1 "
            "JOIN unnest(%b::text[]) WITH ORDINALITY "
            "AS names(name, place) ON place = (n - 1) %% %b::int8 + 1 ORDER BY n "
            "ON CONFLICT (entity_key, feature_name) DO UPDATE SET "
            "value = excluded.value, value_text = excluded.value_text, "
            "vector_value = excluded.vector_value, "
            "event_ts = excluded.event_ts, created_ts = excluded.created_ts "
            "WHERE stored.event_ts IS NULL OR excluded.event_ts >= stored.event_ts"
        )
        with self._connection() as connection, connection.transaction():
            if epoch is not None:
                check_epoch(self.view.name, self._hold_seal(connection, "SHARE"), epoch)
            takes_ready(connection, REALS)
            # Planned anew for the length of these arrays: a plan for any length joins by loops.
            written: int = connection.execute(insert, sent, prepare=False).rowcount
        return written // len(names)

    @cached_property
    def _plain(self) -> bool:
        """Whether the table has the columns alone that are written here."""
        if getattr(self.config.online_store, "vector_enabled", False) and not self._searched[1]:
            return False
        with self._connection(autocommit=True) as connection:
            found = connection.execute(self._sql("SELECT * FROM {} LIMIT 0"))
        types = {column.name: column.type_code for column in found.description}
        if self._searched[1] and types.get("vector_value") == BYTES:
            raise SpecError(
                f"view {self.view.name!r}: its table in PostgreSQL was made without "
                f"vector_enabled, so that Feast cannot search it. DROP TABLE "
                f"{self._table.as_string(None)}; then feast apply, and feast materialize, which "
                f"brings all rows again."
            )
        return types.keys() == COLUMNS

    @cached_property
    def _searched(self) -> tuple[str, int]:
        """The feature that Feast's search by vector finds, and its length; nothing where none is.

        Feast itself keeps all vectors of a row for it, also such as have other lengths.
        """
        if getattr(self.config.online_store, "vector_enabled", False):
            for field in self.view.features:
                if field.vector_index and field.vector_length:
                    return field.name, field.vector_length
        return "", 0

    @cached_property
    def _kinds(self) -> dict[str, Any]:
        return {field.name: field.dtype.to_value_type() for field in self.view.features}

    def begin(self, seal: Seal, bare: bool = False) -> None:
        insert = self._sql(
            "INSERT INTO {} (entity_key, feature_name, value, event_ts) VALUES (%s, %s, %s, %s)"
        )
        now = _to_postgres(datetime.now(timezone.utc))
        with self._connection() as connection, connection.transaction():
            # Writers end first: rows that come while others are deleted would stay.
            connection.execute(self._sql("LOCK TABLE {} IN EXCLUSIVE MODE"))
            connection.execute(self._sql("DELETE FROM {}"))
            record = (self._seal_key, SEAL_FEATURE, seal.broken().to_bytes(), now)
            connection.execute(insert, record)

    def finish(self, seal: Seal) -> None:
        with self._connection() as connection, connection.transaction():
            check_epoch(self.view.name, self._hold_seal(connection, "UPDATE"), seal.epoch)
            self._update_seal(connection, seal)

    def _hold_seal(self, connection: Any, strength: str) -> Seal | None:
        """Read the seal, which nobody else changes until the transaction ends."""
        query = self._sql(
            f"SELECT value FROM {{}} WHERE entity_key = %s AND feature_name = %s FOR {strength}"
        )
        found = connection.execute(query, [self._seal_key, SEAL_FEATURE]).fetchone()
        return Seal.from_bytes(bytes(found[0])) if found else None

    def _update_seal(self, connection: Any, seal: Seal) -> None:
        query = self._sql("UPDATE {} SET value = %s WHERE entity_key = %s AND feature_name = %s")
        connection.execute(query, [seal.to_bytes(), self._seal_key, SEAL_FEATURE])

    @property
    def leaves(self) -> str:
        return "the server's write-ahead log, until it is recycled, and what was backed up from it"

    def remove(self, keys: Sequence[Key]) -> int:
        gone = self._sql("DELETE FROM {} WHERE entity_key = ANY(%s) RETURNING entity_key")
        with self._connection() as connection:
            with connection.transaction():
                seal = self._hold_seal(connection, "UPDATE")
                if seal is not None:
                    self._update_seal(connection, seal.renewed())
                encoded = [self.entity_keys.to_bytes(key) for key in keys]
                rows = connection.execute(gone, [encoded]).fetchall()
            connection.set_autocommit(True)
            # Also where nothing was there: rows that were deleted or written anew stay in the
            # files of the table until it is written out.
            connection.execute(self._sql("VACUUM FULL {}"))
            connection.set_autocommit(False)
        return len({bytes(key) for (key,) in rows})

    def keys(self) -> Iterator[list[Key]]:
        query = self._sql("SELECT DISTINCT entity_key FROM {} WHERE entity_key <> %s")
        with self._connection(autocommit=True) as connection:
            found = connection.execute(query, [self._seal_key]).fetchall()
        for start in range(0, len(found), LISTED):
            some = found[start : start + LISTED]
            yield [self.entity_keys.from_bytes(bytes(key)) for (key,) in some]

    def _sql(self, text: str) -> Any:
        """Write the table's name into a statement."""
        from psycopg import sql

        return sql.SQL(text).format(self._table)

    @contextmanager
    def _connection(self, autocommit: bool = False) -> Iterator[Any]:
        """Hold a connection of Feast's store, and give it back whatever happens.

        One that the server has closed, since it was started anew, is replaced.

        Raises
        ------
        SourceNotFound
            If the server does not answer, or stops to.
        """
        with ExitStack() as held, self._reaching():
            if self.config.online_store.conn_type.value == "singleton":
                held.enter_context(_single)
            taken = postgres_connection(self.store, self.config, autocommit)
            connection = taken.__enter__()
            while _lost(connection):
                taken.__exit__(None, None, None)
                taken = postgres_connection(self.store, self.config, autocommit)
                connection = taken.__enter__()
            try:
                yield connection
            finally:
                # Feast gives a connection back to its pool only where nothing was raised.
                taken.__exit__(None, None, None)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn the loss of the server into an error that names the view and the server."""
        from psycopg import OperationalError

        try:
            yield
        except OperationalError as error:
            # With a state it is the answer to a statement, unless the server is ending.
            if error.sqlstate and not error.sqlstate.startswith(("08", "57P")):
                raise
            where = self.config.online_store
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SourceNotFound(
                f"view {self.view.name!r}: the online store, PostgreSQL at {where.host}:"
                f"{where.port}, does not answer, or stopped to ({said}). Run again."
            ) from error


def _lost(connection: Any) -> bool:
    """Tell whether the server has closed a connection that nobody is using, and close it then.

    Nothing is asked: a server that closes says so, and what it said can be read.
    """
    from psycopg import OperationalError

    said = select.poll()
    try:
        said.register(connection.fileno(), select.POLLIN)
        # The second time for the end that follows the reason.
        for wait in (0, 100):
            if not said.poll(wait):
                return False
            with connection.lock:
                connection.pgconn.consume_input()
    except OperationalError:
        connection.close()
        return True
    return False


def _to_postgres(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(timezone.utc).replace(tzinfo=None)


def _from_postgres(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=timezone.utc)
