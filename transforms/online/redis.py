"""One feature view in Feast's Redis store, in the layout that Feast reads and writes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from deepfeast.transforms import feast_api
from deepfeast.transforms.online.table import Key, OnlineRows, OnlineTable, not_older

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feast import FeatureView, RepoConfig


class RedisTable(OnlineTable):
    """One view in Feast's Redis store."""

    def __init__(self, store: Any, config: RepoConfig, view: FeatureView):
        super().__init__(store, config, view)
        self._name = feast_api.redis_view(config, view)
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
        fresh = [row for row, time in enumerate(stored.times) if not_older(rows.times[row], time)]
        fields = {self._field(name): column for name, column in rows.values.items()}
        settings = self.config.online_store
        with feast_api.redis_client(self.store, self.config).pipeline(transaction=False) as pipe:
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

        client = feast_api.redis_client(self.store, self.config)
        if type(client) is redis.Redis and "glide" not in str(self.config.online_store.client):
            try:
                return _ask_one_server(client, keys, fields)
            except redis.ConnectionError:
                pass  # such as a connection that was idle for too long: Feast's way opens another
        return feast_api.redis_hashes(self.store, self.config, [(key, fields) for key in keys])

    def _key(self, key: Key) -> bytes:
        return self.entity_keys.to_bytes(key) + self._project

    def _field(self, feature: str) -> bytes:
        return feast_api.redis_field(f"{self._name}:{feature}")


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
