"""One feature view in Feast's Redis store, in the layout that Feast reads and writes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from deepfeast.transforms import feast_api
from deepfeast.transforms.online.seal import SEAL_FEATURE, Seal, check_epoch
from deepfeast.transforms.online.table import Key, OnlineRows, OnlineTable, not_older

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from feast import FeatureView, RepoConfig

SCANNED = 1000


class RedisTable(OnlineTable):
    """One view in Feast's Redis store."""

    emptiable = True

    def __init__(self, store: Any, config: RepoConfig, view: FeatureView):
        super().__init__(store, config, view)
        self._name = feast_api.redis_view(config, view)
        self._time_field = f"_ts:{self._name}".encode()
        self._project = config.project.encode()
        self._seal = self.entity_keys.serialize(self.entity_keys.own()) + self._project
        self._seal_field = self._field(SEAL_FEATURE)
        (self._ask_seal,) = _commands([self._seal], [self._seal_field])

    def read(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        fields = [*map(self._field, features), self._time_field]
        return self._columns(keys, features, self._ask([self._key(key) for key in keys], fields))

    def read_sealed(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        if not self._one_server:
            return self.between_seals(keys, features)
        # One round trip, and the server answers in the order of the questions.
        fields = [*map(self._field, features), self._time_field]
        commands = _commands([self._key(key) for key in keys], fields)
        found = self._send([self._ask_seal, *commands, self._ask_seal])
        if found is None:
            return self.between_seals(keys, features)
        (before,), *replies, (after,) = found
        rows = self._columns(keys, features, replies)
        rows.seals = before, after
        return rows

    def _columns(
        self, keys: Sequence[Key], features: Sequence[str], replies: list[Sequence[bytes | None]]
    ) -> OnlineRows:
        columns = list(zip(*replies, strict=True)) or [()] * (len(features) + 1)
        return OnlineRows(
            keys=list(keys),
            times=[_from_redis(time) for time in columns[-1]],
            values={
                name: list(column) for name, column in zip(features, columns[:-1], strict=True)
            },
        )

    def seal_bytes(self) -> bytes | None:
        return self._ask([self._seal], [self._seal_field])[0][0]

    def begin(self, seal: Seal, bare: bool = False) -> None:
        self._put_seal(seal.broken())
        fields, client = self._fields(), self._client()
        for keys in filter(None, self._scan()):
            with client.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hdel(key, *fields)
                pipe.execute()

    def finish(self, seal: Seal) -> None:
        record = {self._seal_field: seal.to_bytes()}
        self._write(seal.epoch, lambda pipe: pipe.hset(self._seal, mapping=record))

    def _put_seal(self, seal: Seal) -> None:
        self._client().hset(self._seal, mapping={self._seal_field: seal.to_bytes()})

    @property
    def leaves(self) -> str:
        return (
            "what the server wrote to disk before (a snapshot, an append-only file): BGSAVE and "
            "BGREWRITEAOF write it anew"
        )

    def remove(self, keys: Sequence[Key]) -> int:
        seal = self.seal()
        if seal is not None:
            renewed = {self._seal_field: seal.renewed().to_bytes()}
            self._write(seal.epoch, lambda pipe: pipe.hset(self._seal, mapping=renewed))
        names = [self._key(key) for key in keys]
        known = self._ask(names, [self._time_field]) if names else []
        with self._client().pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hdel(name, *self._fields())
            pipe.execute()
        return sum(time is not None for (time,) in known)

    def _fields(self) -> list[bytes]:
        """Return the fields of the view's rows."""
        return [*(self._field(field.name) for field in self.view.features), self._time_field]

    def keys(self) -> Iterator[list[Key]]:
        for keys in self._scan():
            known = self._ask(list(keys), [self._time_field]) if keys else []
            yield [key for key, (time,) in zip(keys.values(), known, strict=True) if time]

    def _scan(self) -> Iterator[dict[bytes, Key]]:
        """Yield the hashes of the view's kind of key, some at a time; one may come twice."""
        pattern = b"%b*%b" % (_escape(self.entity_keys.head), _escape(self._project))
        some: dict[bytes, Key] = {}
        for name in self._client().scan_iter(pattern, count=SCANNED):
            if name == self._seal:
                continue
            try:
                some[name] = self.entity_keys.from_bytes(name[: -len(self._project)])
            except ValueError:
                continue  # of a project whose name ends like this one's
            if len(some) == SCANNED:
                yield some
                some = {}
        yield some

    def write_newer(self, rows: OnlineRows, epoch: str | None = None) -> int:
        stored = self.read(rows.keys, [])
        fresh = [row for row, time in enumerate(stored.times) if not_older(rows.times[row], time)]
        fields = {self._field(name): column for name, column in rows.values.items()}
        settings = self.config.online_store

        def fill(pipe: Any) -> None:
            for row in fresh:
                key = self._key(rows.keys[row])
                written: dict[str | bytes, bytes] = {
                    name: column[row] or b"" for name, column in fields.items()
                }
                written[self._time_field] = _to_redis(rows.times[row])
                pipe.hset(key, mapping=written)
                if settings.key_ttl_seconds:
                    pipe.expire(key, settings.key_ttl_seconds)

        self._write(epoch, fill)
        return len(fresh)

    def _write(self, epoch: str | None, fill: Callable[[Any], None]) -> None:
        """Send commands at once; of a sealed view, only while its epoch goes on."""
        client, name = self._client(), self.view.name
        if epoch is not None and self._one_server:

            def fenced(pipe: Any) -> None:
                seal = Seal.from_bytes(pipe.hget(self._seal, self._seal_field))
                check_epoch(name, seal, epoch)
                pipe.multi()
                fill(pipe)

            client.transaction(fenced, self._seal)
            return
        if epoch is not None:
            check_epoch(name, self.seal(), epoch)
        with client.pipeline(transaction=False) as pipe:
            fill(pipe)
            pipe.execute()
        if epoch is not None:
            self._disown(epoch)

    def _ask(self, keys: list[bytes], fields: list[bytes]) -> list[Sequence[bytes | None]]:
        """Read some fields of some hashes in one round trip."""
        if self._one_server:
            found = self._send(_commands(keys, fields))
            if found is not None:
                return found
        return feast_api.redis_hashes(self.store, self.config, [(key, fields) for key in keys])

    def _send(self, commands: list[bytes]) -> list[Sequence[bytes | None]] | None:
        """Ask the one server that there is; None where the connection was lost."""
        import redis

        try:
            return _send(self._client(), commands)
        except redis.ConnectionError:
            return None  # such as one that was idle for too long: Feast's way opens another

    @cached_property
    def _one_server(self) -> bool:
        """Whether one server answers, in the order of the questions."""
        import redis

        plain = "glide" not in str(self.config.online_store.client)
        return plain and type(self._client()) is redis.Redis

    def _client(self) -> Any:
        return feast_api.redis_client(self.store, self.config)

    def _key(self, key: Key) -> bytes:
        return self.entity_keys.to_bytes(key) + self._project

    def _field(self, feature: str) -> bytes:
        return feast_api.redis_field(f"{self._name}:{feature}")


def _commands(keys: list[bytes], fields: list[bytes]) -> list[bytes]:
    """Write one HMGET a key, written out once but for the key.

    Most of the time of a pipeline of the redis package goes to encoding the same fields for
    every key.
    """
    head = b"*%d\r\n$5\r\nHMGET\r\n" % (len(fields) + 2)
    tail = b"".join(b"$%d\r\n%b\r\n" % (len(name), name) for name in fields)
    return [b"%b$%d\r\n%b\r\n%b" % (head, len(key), key, tail) for key in keys]


def _send(client: Any, commands: list[bytes]) -> list[Sequence[bytes | None]]:
    connection = client.connection_pool.get_connection()
    try:
        connection.send_packed_command([b"".join(commands)])
        return [connection.read_response() for _ in commands]
    except BaseException:
        # Replies that nobody read must not answer the next question.
        connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)


def _escape(text: bytes) -> bytes:
    """Take from bytes what they would mean in a pattern of Redis."""
    return re.sub(rb"([*?\[\]\\^-])", rb"\\\1", text)


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
