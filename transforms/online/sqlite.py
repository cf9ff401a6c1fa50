"""One feature view in Feast's SQLite store, in the layout that Feast reads and writes.

A write is one statement for hundreds of values, and newer wins inside the statement itself.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.errors import SourceNotFound
from deepfeast.transforms.feast_api import sqlite_connection, sqlite_path, sqlite_table
from deepfeast.transforms.online.seal import SEAL_FEATURE, Seal, check_epoch
from deepfeast.transforms.online.table import (
    Key,
    OnlineRows,
    OnlineTable,
    by_column,
    search_texts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from feast import FeatureView, RepoConfig

SQLITE_VARIABLES = 3000
COLUMNS = 6  # of a value in Feast's table
LISTED = 10_000
# Feast's store has one connection for all threads, and a connection one transaction.
_writing = threading.Lock()
_opening = threading.Lock()


class SqliteTable(OnlineTable):
    """One view in Feast's SQLite store. It keeps event times to the second."""

    emptiable = True

    def __init__(self, store: Any, config: RepoConfig, view: FeatureView):
        super().__init__(store, config, view)
        self._store, self._config = store, config
        self._table = sqlite_table(config, view)
        self._path = sqlite_path(store, config)
        self._held: Any = None
        self._file = self._open(_file_at(self._path))
        self._kinds = {field.name: field.dtype.to_value_type() for field in view.features}
        self._seal_key = self.entity_keys.serialize(self.entity_keys.own())

    @property
    def _connection(self) -> Any:
        """The connection to the file that lies at the store's path now.

        One that was opened before the file was moved or replaced would serve the old one for ever.
        """
        found = _file_at(self._path)
        if found != self._file:
            if found is None:
                raise SourceNotFound(
                    f"the online store of view {self.view.name!r} was at {self._path}, and there "
                    f"is nothing now. Put it back, or run feast apply and feast materialize."
                )
            self._file = self._open(found)
        return self._held

    def _open(self, found: tuple[int, int] | None) -> tuple[int, int] | None:
        """Open the file, and say which it was."""
        with _opening:
            connection = sqlite_connection(self._store, self._config, self._held)
            # Another process may be writing: wait for it instead of failing after 5 seconds.
            connection.execute("PRAGMA busy_timeout = 600000")
            # Room for a batch and its part of the index (in KiB), so that a write does not lock
            # readers out before it commits.
            connection.execute("PRAGMA cache_size = -24576")
            self._held = connection
        # Looked at before: what was replaced meanwhile is noticed by the next read.
        return found or _file_at(self._path)

    def read(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        encoded = [self.entity_keys.to_bytes(key) for key in keys]
        values, seconds = self._gather(encoded, features)
        return OnlineRows(list(keys), [*map(_from_sqlite, seconds)], values)

    def read_sealed(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        if len(keys) >= SQLITE_VARIABLES:
            return self.between_seals(keys, features)
        # One statement, so one moment.
        encoded = [*map(self.entity_keys.to_bytes, keys), self._seal_key]
        values, seconds = self._gather(encoded, [*features, SEAL_FEATURE])
        seal = values.pop(SEAL_FEATURE)[-1]
        del seconds[-1]
        for column in values.values():
            del column[-1]
        times = [*map(_from_sqlite, seconds)]
        return OnlineRows(list(keys), times, values, seals=(seal,))

    def _gather(
        self, encoded: list[bytes], features: Sequence[str]
    ) -> tuple[dict[str, list[bytes | None]], list[int | None]]:
        """Read values and event times (in seconds) of some keys, by column."""
        return by_column(encoded, features, self._select(encoded))

    def _select(self, keys: list[bytes]) -> Iterator[tuple[bytes, str, bytes, int]]:
        for start in range(0, len(keys), SQLITE_VARIABLES):
            some = keys[start : start + SQLITE_VARIABLES]
            # The cast keeps sqlite3 from calling Feast's converter once for every value.
            query = (
                "SELECT entity_key, feature_name, value, CAST(event_ts AS INTEGER) "
                f"FROM {self._table} WHERE entity_key IN ({','.join('?' * len(some))})"
            )
            try:
                found = self._connection.execute(query, some)
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                raise SourceNotFound(
                    f"the online store at {self._path} has no table of view {self.view.name!r}: "
                    f"it is another file than feast apply made. Put that back, or run feast apply "
                    f"and feast materialize."
                ) from error
            yield from found

    def seal_bytes(self) -> bytes | None:
        for _, name, value, _ in self._select([self._seal_key]):
            if name == SEAL_FEATURE:
                return value
        return None

    def begin(self, seal: Seal, bare: bool = False) -> None:
        with self._transaction() as connection:
            connection.execute(f"DELETE FROM {self._table}")
            self._write_seal(connection, seal.broken())

    def finish(self, seal: Seal) -> None:
        with self._transaction(seal.epoch) as connection:
            self._write_seal(connection, seal)

    @contextmanager
    def _transaction(self, epoch: str | None = None) -> Iterator[Any]:
        """Hold the database for writing, while the epoch goes on."""
        with _writing, self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            if epoch is not None:
                check_epoch(self.view.name, self.seal(), epoch)
            yield connection

    def _write_seal(self, connection: Any, seal: Seal) -> None:
        now = _to_sqlite(datetime.now(timezone.utc))
        record = self._seal_key, SEAL_FEATURE, seal.to_bytes(), None, now, None
        connection.execute(self._upsert(1), record)

    @property
    def leaves(self) -> str:
        return ""

    def remove(self, keys: Sequence[Key]) -> int:
        encoded = [self.entity_keys.to_bytes(key) for key in keys]
        removed = 0
        with self._transaction() as connection:
            seal = self.seal()
            if seal is not None:
                self._write_seal(connection, seal.renewed())
            for start in range(0, len(encoded), SQLITE_VARIABLES):
                some = encoded[start : start + SQLITE_VARIABLES]
                where = f"FROM {self._table} WHERE entity_key IN ({','.join('?' * len(some))})"
                (known,) = connection.execute(
                    f"SELECT COUNT(DISTINCT entity_key) {where}", some
                ).fetchone()
                removed += known
                connection.execute(f"DELETE {where}", some)
        # Also where nothing was there: pages that are free keep the bytes of whatever was in them,
        # such as a row that was written anew or deleted by a run that was killed.
        with _writing:
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return removed

    def keys(self) -> Iterator[list[Key]]:
        found = self._connection.execute(
            f"SELECT DISTINCT entity_key FROM {self._table} WHERE entity_key != ?",
            [self._seal_key],
        )
        while some := found.fetchmany(LISTED):
            yield [self.entity_keys.from_bytes(key) for (key,) in some]

    def kept(self, time: datetime) -> datetime:
        return time.replace(microsecond=0)

    def write_newer(self, rows: OnlineRows, epoch: str | None = None) -> int:
        count, each = len(rows.keys), COLUMNS * len(rows.values)
        keys = [self.entity_keys.to_bytes(key) for key in rows.keys]
        times = [_to_sqlite(time) for time in rows.times]
        created = [_to_sqlite(time) for time in rows.created] if rows.created else [None] * count
        # Row by row, so that what is read together lies together on disk; laid out by strides.
        flat: list[Any] = [None] * (count * each)
        for position, (name, column) in enumerate(rows.values.items()):
            texts = search_texts(column, self._kinds[name])
            parts = (keys, [name] * count, column, texts, times, created)
            for place, part in enumerate(parts):
                flat[position * COLUMNS + place :: each] = part
        step = SQLITE_VARIABLES // COLUMNS * COLUMNS
        with self._transaction(epoch) as connection:
            before = connection.total_changes
            # Hundreds at once: the time goes to statements, not to records.
            for start in range(0, len(flat), step):
                some = flat[start : start + step]
                connection.execute(self._upsert(len(some) // COLUMNS), some)
            return (connection.total_changes - before) // len(rows.values)

    def _upsert(self, count: int) -> str:
        return (
            f"INSERT INTO {self._table} AS stored "
            "(entity_key, feature_name, value, value_text, event_ts, created_ts) "
            f"VALUES {','.join(['(?,?,?,?,?,?)'] * count)} "
            "ON CONFLICT (entity_key, feature_name) DO UPDATE SET "
            "value = excluded.value, value_text = excluded.value_text, "
            "event_ts = excluded.event_ts, created_ts = excluded.created_ts "
            "WHERE stored.event_ts IS NULL OR excluded.event_ts >= stored.event_ts"
        )


def _file_at(path: str) -> tuple[int, int] | None:
    """Return which file lies at a path, whatever it is called."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a lookup has no time for a Path.
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _to_sqlite(time: datetime | None) -> int | None:
    # Feast stores the UTC clock as if it were local time; so it must be here.
    if time is None:
        return None
    return int(time.astimezone(timezone.utc).replace(tzinfo=None).timestamp())


def _from_sqlite(second: int | None) -> datetime | None:
    if second is None:
        return None
    return datetime.fromtimestamp(second).replace(tzinfo=timezone.utc)
