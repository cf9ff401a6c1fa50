"""One feature view in one online store: rows read as bytes, and written only where newer.

Feast's stores disagree on what a write does. SQLite and PostgreSQL let an older value overwrite
a newer one; Redis ignores a value of the same event time, so that a vector computed again by a
new encoder never arrives. Here one rule holds for every store: *a row is written unless the store
holds a later event time for its key.* Writing the same row twice changes nothing, which is why a
materialization that died halfway is mended by running it again.

SQLite and Redis are spoken to in their own words, in the layout that Feast's classes for them
read and write; any other store through Feast's interface alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.protos import EntityKeys, to_scalars

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from feast import FeatureView, RepoConfig
    from feast.infra.online_stores.online_store import OnlineStore

Key = tuple[Any, ...]
SQLITE_VARIABLES = 3000


@dataclass
class OnlineRows:
    """Some rows of one view, column by column.

    Attributes
    ----------
    keys : list of tuple, of length n_rows
        Values of the join keys, in the order of the view's ``entity_columns``; distinct.
    times : list of datetime or None, of length n_rows
        Event times, timezone-aware; None for a key that the store does not know.
    values : dict of str to list of (bytes or None)
        Per feature the bytes of a ``Value``: empty for null, None where the store has nothing.
    created : list of datetime, optional
        Created times, for stores that keep them.
    """

    keys: list[Key]
    times: list[datetime | None]
    values: dict[str, list[bytes | None]] = field(default_factory=dict)
    created: list[datetime | None] | None = None


class OnlineTable:
    """One view in any online store, through the interface every Feast store has."""

    def __init__(self, store: OnlineStore, config: RepoConfig, view: FeatureView):
        from feast import ValueType
        from feast.feature_view import DUMMY_ENTITY_ID

        self.store: Any = store
        self.config, self.view = config, view
        join_keys = {column.name: column.dtype.to_value_type() for column in view.entity_columns}
        # A view without entities has one row, under Feast's stand-in for a key.
        join_keys = join_keys or {DUMMY_ENTITY_ID: ValueType.STRING}
        self.entity_keys = EntityKeys(join_keys, config.entity_key_serialization_version)

    def read(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        """Read the features of some keys; a key may be unknown."""
        protos = [self.entity_keys.to_proto(key) for key in keys]
        found = self.store.online_read(self.config, self.view, protos, list(features))
        return OnlineRows(
            keys=list(keys),
            times=[self._time(time) if values else None for time, values in found],
            values={
                name: [
                    values[name].SerializeToString() if values and name in values else None
                    for _, values in found
                ]
                for name in features
            },
        )

    def write_newer(self, rows: OnlineRows) -> int:
        """Write the rows that are not older than what the store holds; return how many."""
        from feast.protos.feast.types.Value_pb2 import Value

        # Asked for by one small feature: the time is what matters.
        stored = self.read(
            rows.keys, [min(rows.values, key=lambda n: len(rows.values[n][0] or b""))]
        )
        fresh = [row for row, time in enumerate(stored.times) if _not_older(rows.times[row], time)]
        data = [
            (
                self.entity_keys.to_proto(rows.keys[row]),
                {
                    name: Value.FromString(column[row] or b"")
                    for name, column in rows.values.items()
                },
                rows.times[row],
                rows.created[row] if rows.created else None,
            )
            for row in fresh
        ]
        if data:
            self.store.online_write_batch(self.config, self.view, data, None)
        return len(data)

    def _time(self, time: datetime | None) -> datetime | None:
        if time is None:
            return None
        # Feast's PostgreSQL store writes the UTC clock without its zone and reads it back in the
        # zone of the session: there the clock is right and the zone is not.
        if time.tzinfo is None or type(self.store).__name__ == "PostgreSQLOnlineStore":
            return time.replace(tzinfo=timezone.utc)
        return time.astimezone(timezone.utc)


def _not_older(time: datetime | None, stored: datetime | None) -> bool:
    return stored is None or (time is not None and time >= stored)


class SqliteTable(OnlineTable):
    """One view in Feast's SQLite store. It keeps event times to the second."""

    def __init__(self, store: Any, config: RepoConfig, view: FeatureView):
        from feast.infra.online_stores.sqlite import _quote_id, _table_id

        super().__init__(store, config, view)
        versioned = config.registry.enable_online_feature_view_versioning
        self._table = _quote_id(_table_id(config.project, view, versioned))
        self._kinds = {field.name: field.dtype.to_value_type() for field in view.features}
        self._connection = store._get_conn(config)
        # Another process may be writing: wait for it instead of failing after 5 seconds.
        self._connection.execute("PRAGMA busy_timeout = 600000")
        # Room for a batch (in KiB), so that a write does not lock readers out before it commits.
        self._connection.execute("PRAGMA cache_size = -131072")

    def read(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        encoded = [self.entity_keys.to_bytes(key) for key in keys]
        position = {key: row for row, key in enumerate(encoded)}
        values: dict[str, list[bytes | None]] = {name: [None] * len(keys) for name in features}
        seconds: list[int | None] = [None] * len(keys)
        for key, name, value, second in self._select(encoded):
            column = values.get(name)
            if column is not None:
                row = position[key]
                column[row] = value
                known = seconds[row]
                # Features written apart have times apart: the oldest speaks for the row.
                seconds[row] = second if known is None or second < known else known
        return OnlineRows(list(keys), [_from_sqlite(second) for second in seconds], values)

    def _select(self, keys: list[bytes]) -> Iterator[tuple[bytes, str, bytes, int]]:
        for start in range(0, len(keys), SQLITE_VARIABLES):
            some = keys[start : start + SQLITE_VARIABLES]
            # The cast keeps sqlite3 from calling Feast's converter once for every value.
            yield from self._connection.execute(
                "SELECT entity_key, feature_name, value, CAST(event_ts AS INTEGER) "
                f"FROM {self._table} WHERE entity_key IN ({','.join('?' * len(some))})",
                some,
            )

    def write_newer(self, rows: OnlineRows) -> int:
        keys = [self.entity_keys.to_bytes(key) for key in rows.keys]
        times = [_to_sqlite(time) for time in rows.times]
        created = [_to_sqlite(time) for time in rows.created or [None] * len(keys)]
        columns = [
            zip(keys, repeat(name), column, self._texts(name, column), times, created)
            for name, column in rows.values.items()
        ]
        # Row by row, so that what is read together lies together on disk.
        records = (record for row in zip(*columns, strict=True) for record in row)
        with self._connection as connection:
            before = connection.total_changes
            # Hundreds at once: the time goes to statements, not to records.
            while some := list(islice(records, SQLITE_VARIABLES // 6)):
                connection.execute(self._upsert(len(some)), list(chain.from_iterable(some)))
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

    def _texts(self, name: str, column: list[bytes | None]) -> Iterable[str | None]:
        """Write what Feast keeps beside the value for its search by text."""
        kind = self._kinds[name]
        if kind.name not in _SEARCHABLE:
            return repeat(None, len(column))
        return [None if value is None else str(value) for value in to_scalars(column, kind)]


_SEARCHABLE = ("STRING", "INT32", "INT64", "FLOAT", "DOUBLE", "BOOL")


def _to_sqlite(time: datetime | None) -> int | None:
    # Feast stores the UTC clock as if it were local time; so it must be here.
    if time is None:
        return None
    return int(time.astimezone(timezone.utc).replace(tzinfo=None).timestamp())


def _from_sqlite(second: int | None) -> datetime | None:
    if second is None:
        return None
    return datetime.fromtimestamp(second).replace(tzinfo=timezone.utc)


class RedisTable(OnlineTable):
    """One view in Feast's Redis store."""

    def __init__(self, store: Any, config: RepoConfig, view: FeatureView):
        from feast.infra.online_stores.redis import _versioned_fv_name

        super().__init__(store, config, view)
        self._name = _versioned_fv_name(view, config)
        self._time_field = f"_ts:{self._name}".encode()
        self._project = config.project.encode()

    def read(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        fields = [*map(self._field, features), self._time_field]
        replies = self._ask([self._key(key) for key in keys], fields)
        columns = list(zip(*replies, strict=True)) or [()] * len(fields)
        return OnlineRows(
            keys=list(keys),
            times=[_from_redis(time) for time in columns[-1]],
            values={
                name: list(column) for name, column in zip(features, columns[:-1], strict=True)
            },
        )

    def write_newer(self, rows: OnlineRows) -> int:
        stored = self.read(rows.keys, [])
        fresh = [row for row, time in enumerate(stored.times) if _not_older(rows.times[row], time)]
        fields = {self._field(name): column for name, column in rows.values.items()}
        settings = self.config.online_store
        with self.store._get_client(settings).pipeline(transaction=False) as pipe:
            for row in fresh:
                key = self._key(rows.keys[row])
                written: dict[str | bytes, bytes] = {
                    name: column[row] or b"" for name, column in fields.items()
                }
                written[self._time_field] = _to_redis(rows.times[row])
                pipe.hset(key, mapping=written)
                if settings.key_ttl_seconds:
                    pipe.expire(key, settings.key_ttl_seconds)
            pipe.execute()
        return len(fresh)

    def _ask(self, keys: list[bytes], fields: list[bytes]) -> list[Sequence[bytes | None]]:
        """Read some fields of some hashes in one round trip."""
        import redis

        client = self.store._get_client(self.config.online_store)
        if type(client) is redis.Redis and "glide" not in str(self.config.online_store.client):
            try:
                return _ask_one_server(client, keys, fields)
            except redis.ConnectionError:
                pass  # such as a connection that was idle for too long: Feast's way opens another
        return self.store._read_hash_fields(self.config, [(key, fields) for key in keys])

    def _key(self, key: Key) -> bytes:
        return self.entity_keys.to_bytes(key) + self._project

    def _field(self, feature: str) -> bytes:
        from feast.infra.online_stores.helpers import _mmh3

        return _mmh3(f"{self._name}:{feature}")


def _ask_one_server(
    client: Any, keys: list[bytes], fields: list[bytes]
) -> list[Sequence[bytes | None]]:
    """Send one HMGET a key, written out once but for the key.

    Most of the time of a pipeline of the redis package goes to encoding the same fields for
    every key.
    """
    head = b"*%d\r\n$5\r\nHMGET\r\n" % (len(fields) + 2)
    tail = b"".join(b"$%d\r\n%b\r\n" % (len(name), name) for name in fields)
    connection = client.connection_pool.get_connection()
    try:
        commands = [b"%b$%d\r\n%b\r\n%b" % (head, len(key), key, tail) for key in keys]
        connection.send_packed_command([b"".join(commands)])
        return [connection.read_response() for _ in keys]
    except BaseException:
        # Replies that nobody read must not answer the next question.
        connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)


def _to_redis(time: datetime | None) -> bytes:
    from google.protobuf.timestamp_pb2 import Timestamp

    stamp = Timestamp()
    if time is not None:
        stamp.FromDatetime(time)
    return stamp.SerializeToString()


def _from_redis(value: bytes | None) -> datetime | None:
    from google.protobuf.timestamp_pb2 import Timestamp

    if not value:
        return None
    stamp = Timestamp.FromString(value)
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def online_table(store: OnlineStore, config: RepoConfig, view: FeatureView) -> OnlineTable:
    """Open a view's table in the quickest way that is sound for the store."""
    settings = config.online_store
    kind = f"{type(store).__module__}.{type(store).__name__}"
    if kind == "feast.infra.online_stores.redis.RedisOnlineStore":
        return RedisTable(store, config, view)
    # With these two set, Feast keeps further columns that only it knows how to fill.
    special = "vector_enabled", "enable_openai_compatible_store"
    plain = not any(getattr(settings, name, False) for name in special)
    if kind == "feast.infra.online_stores.sqlite.SqliteOnlineStore" and plain:
        return SqliteTable(store, config, view)
    return OnlineTable(store, config, view)
