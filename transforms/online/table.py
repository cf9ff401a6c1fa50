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
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.feast_api import POSTGRES_STORE, is_a
from deepfeast.transforms.online.protos import EntityKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feast import FeatureView, RepoConfig
    from feast.infra.online_stores.online_store import OnlineStore

Key = tuple[Any, ...]


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
        fresh = [row for row, time in enumerate(stored.times) if not_older(rows.times[row], time)]
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
        if time.tzinfo is None or is_a(self.store, POSTGRES_STORE):
            return time.replace(tzinfo=timezone.utc)
        return time.astimezone(timezone.utc)


def not_older(time: datetime | None, stored: datetime | None) -> bool:
    """Tell whether a row may be written over what is stored."""
    return stored is None or (time is not None and time >= stored)
