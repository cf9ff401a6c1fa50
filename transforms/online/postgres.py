"""One feature view in Feast's PostgreSQL store: rows by Feast's own statements, seals by ours."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from deepfeast.transforms.feast_api import postgres_table
from deepfeast.transforms.online.seal import SEAL_FEATURE, Seal, check_epoch
from deepfeast.transforms.online.table import Key, OnlineRows, OnlineTable, seal_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LISTED = 10_000


class PostgresTable(OnlineTable):
    """One view in Feast's PostgreSQL store."""

    emptiable = True

    def read_sealed(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        # One statement, so one moment.
        protos = [*map(self.entity_keys.to_proto, keys), self.entity_keys.own()]
        *found, sealed = self._online_read(protos, [*features, SEAL_FEATURE])
        rows = self._rows(keys, features, found)
        rows.seals = (seal_value(sealed),)
        return rows

    def begin(self, seal: Seal, bare: bool = False) -> None:
        from psycopg import sql

        name, connected = postgres_table(self.store, self.config, self.view)
        own = self.entity_keys.serialize(self.entity_keys.own())
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        insert = sql.SQL(
            "INSERT INTO {} (entity_key, feature_name, value, event_ts) VALUES (%s, %s, %s, %s)"
        )
        with connected as connection, connection.transaction():
            connection.execute(sql.SQL("DELETE FROM {}").format(name))
            record = (own, SEAL_FEATURE, seal.broken().to_bytes(), now)
            connection.execute(insert.format(name), record)

    def finish(self, seal: Seal) -> None:
        from psycopg import sql

        name, connected = postgres_table(self.store, self.config, self.view)
        key = (self.entity_keys.serialize(self.entity_keys.own()), SEAL_FEATURE)
        where = "WHERE entity_key = %s AND feature_name = %s"
        held = sql.SQL(f"SELECT value FROM {{}} {where} FOR UPDATE").format(name)
        made = sql.SQL(f"UPDATE {{}} SET value = %s {where}").format(name)
        with connected as connection, connection.transaction():
            found = connection.execute(held, key).fetchone()
            known = Seal.from_bytes(bytes(found[0])) if found else None
            check_epoch(self.view.name, known, seal.epoch)
            connection.execute(made, (seal.to_bytes(), *key))

    @property
    def leaves(self) -> str:
        return "the server's write-ahead log, until it is recycled, and what was backed up from it"

    def remove(self, keys: Sequence[Key]) -> int:
        from psycopg import sql

        name, connected = postgres_table(self.store, self.config, self.view)
        own = (self.entity_keys.serialize(self.entity_keys.own()), SEAL_FEATURE)
        where = "WHERE entity_key = %s AND feature_name = %s"
        held = sql.SQL(f"SELECT value FROM {{}} {where} FOR UPDATE").format(name)
        made = sql.SQL(f"UPDATE {{}} SET value = %s {where}").format(name)
        gone = sql.SQL("DELETE FROM {} WHERE entity_key = ANY(%s) RETURNING entity_key")
        with connected as connection:
            with connection.transaction():
                found = connection.execute(held, own).fetchone()
                seal = Seal.from_bytes(bytes(found[0])) if found else None
                if seal is not None:
                    connection.execute(made, (seal.renewed().to_bytes(), *own))
                encoded = [self.entity_keys.to_bytes(key) for key in keys]
                rows = connection.execute(gone.format(name), [encoded]).fetchall()
            connection.set_autocommit(True)
            # Also where nothing was there: rows that were deleted or written anew stay in the
            # files of the table until it is written out.
            connection.execute(sql.SQL("VACUUM FULL {}").format(name))
            connection.set_autocommit(False)
        return len({bytes(key) for (key,) in rows})

    def keys(self) -> Iterator[list[Key]]:
        from psycopg import sql

        name, connected = postgres_table(self.store, self.config, self.view)
        own = self.entity_keys.serialize(self.entity_keys.own())
        query = sql.SQL("SELECT DISTINCT entity_key FROM {} WHERE entity_key <> %s").format(name)
        with connected as connection:
            found = connection.execute(query, [own]).fetchall()
            connection.commit()
        for start in range(0, len(found), LISTED):
            some = found[start : start + LISTED]
            yield [self.entity_keys.from_bytes(bytes(key)) for (key,) in some]
