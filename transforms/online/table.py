"""One feature view in one online store: rows read as bytes, and written only where newer.

Feast's stores disagree on what a write does. SQLite and PostgreSQL let an older value overwrite
a newer one; Redis ignores a value of the same event time, so that a vector computed again by a
new encoder never arrives. Here one rule holds for every store: *a row is written unless the store
holds a later event time for its key.* Writing the same row twice changes nothing, which is why a
materialization that died halfway is mended by running it again.

SQLite, Redis and PostgreSQL are spoken to in their own words, in the layout that Feast's classes
for them read and write; any other store through Feast's interface alone.

The rows of a deep view have a seal (`seal.py`), which is read together with them. Who writes rows
of a sealed view names the epoch of the seal; once another run has begun a new one, nothing more of
the old arrives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.feast_api import POSTGRES_STORE, can_be_sealed, is_a
from deepfeast.transforms.online.protos import EntityKeys, to_scalars
from deepfeast.transforms.online.seal import SEAL_FEATURE, Seal, check_epoch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from feast import FeatureView, RepoConfig, ValueType
    from feast.infra.online_stores.online_store import OnlineStore

Key = tuple[Any, ...]
T = TypeVar("T", int, datetime)


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
    seals : tuple of (bytes or None)
        What the store said of all rows of the view when these were read: once, where one statement
        read both, or before and after.
    """

    keys: list[Key]
    times: list[datetime | None]
    values: dict[str, list[bytes | None]] = field(default_factory=dict)
    created: list[datetime | None] | None = None
    seals: tuple[bytes | None, ...] = ()


class OnlineTable:
    """One view in any online store, through the interface every Feast store has.

    Attributes
    ----------
    sealable : bool
        Whether the store can keep a seal.
    emptiable : bool
        Whether all rows of one view can be removed.
    """

    emptiable = False

    def __init__(self, store: OnlineStore, config: RepoConfig, view: FeatureView):
        from feast import ValueType
        from feast.feature_view import DUMMY_ENTITY_ID

        self.store: Any = store
        self.config, self.view = config, view
        join_keys = {column.name: column.dtype.to_value_type() for column in view.entity_columns}
        # A view without entities has one row, under Feast's stand-in for a key.
        join_keys = join_keys or {DUMMY_ENTITY_ID: ValueType.STRING}
        self.entity_keys = EntityKeys(join_keys, config.entity_key_serialization_version)
        self.sealable = can_be_sealed(store)

    def read(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        """Read the features of some keys; a key may be unknown."""
        found = self._online_read([self.entity_keys.to_proto(key) for key in keys], features)
        return self._rows(keys, features, found)

    def read_sealed(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        """Read the features of some keys, and the view's seal with them."""
        return self.between_seals(keys, features)

    def between_seals(self, keys: Sequence[Key], features: Sequence[str]) -> OnlineRows:
        """Read rows between two looks at their seal."""
        before = self.seal_bytes()
        rows = self.read(keys, features)
        rows.seals = before, self.seal_bytes()
        return rows

    def seal(self) -> Seal | None:
        """Return the view's seal; None where the store says nothing."""
        return Seal.from_bytes(self.seal_bytes())

    def seal_bytes(self) -> bytes | None:
        """Read the view's seal as it is kept."""
        return seal_value(self._online_read([self.entity_keys.own()], [SEAL_FEATURE])[0])

    def begin(self, seal: Seal, bare: bool = False) -> None:
        """Begin an epoch: break the seal, and remove all rows of the view.

        Parameters
        ----------
        bare : bool
            The view was never brought online, so that there are no rows.

        Raises
        ------
        SpecError
            If there may be rows and the store cannot be emptied; nothing has changed then.
        """
        if not bare:
            raise SpecError(
                f"the online rows of view {self.view.name!r} were made with other encoders or "
                f"another version of its table, or not to the end, and Feast offers no way to "
                f"empty a view of a {type(self.store).__name__}. Give the view a new name; or take "
                f"it out of the repo, run feast apply, put it back, and run feast apply and feast "
                f"materialize."
            )
        self._put_seal(seal.broken())

    def finish(self, seal: Seal) -> None:
        """Make the seal whole, or say of an epoch that goes on how far it is.

        Raises
        ------
        RunInProgress
            If another epoch has begun.
        """
        check_epoch(self.view.name, self.seal(), seal.epoch)
        self._put_seal(seal)

    def write_newer(self, rows: OnlineRows, epoch: str | None = None) -> int:
        """Write the rows that are not older than what the store holds; return how many.

        Parameters
        ----------
        epoch : str, optional
            Of the seal; None for a view without one.

        Raises
        ------
        RunInProgress
            If another epoch has begun.
        """
        from feast.protos.feast.types.Value_pb2 import Value

        if epoch is not None:
            check_epoch(self.view.name, self.seal(), epoch)
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
        if epoch is not None:
            self._disown(epoch)
        return len(data)

    def _disown(self, epoch: str) -> None:
        """Spoil the seal that rows were written under between its check and their arrival.

        Whoever began that epoch cannot finish it either: its rows are no longer all there is.
        """
        seal = self.seal()
        if seal is not None and seal.epoch != epoch:
            self._put_seal(seal.spoilt())
        check_epoch(self.view.name, seal, epoch)

    @property
    def leaves(self) -> str:
        """What `remove` leaves of a key, and why; empty where nothing is left."""
        return (
            f"the keys, with empty values: Feast has no way to delete rows of a "
            f"{type(self.store).__name__}"
        )

    def remove(self, keys: Sequence[Key]) -> int:
        """Remove the rows of some keys; return how many there were.

        A run that read these rows before writes no more of the view: its epoch is over.
        """
        from feast.protos.feast.types.Value_pb2 import Value

        seal = self.seal() if self.sealable else None
        if seal is not None:
            self._put_seal(seal.renewed())
        names = [feature.name for feature in self.view.features]
        stored = self.read(keys, names)
        known = [row for row, time in enumerate(stored.times) if time is not None]
        now, empty = datetime.now(timezone.utc), dict.fromkeys(names, Value())
        data = [(self.entity_keys.to_proto(keys[row]), empty, now, None) for row in known]
        if data:
            self.store.online_write_batch(self.config, self.view, data, None)
        return len(known)

    def keys(self) -> Iterator[list[Key]] | None:
        """Yield the keys of all rows, some at a time; None where the store cannot list them."""
        return None

    def kept(self, time: datetime) -> datetime:
        """Return an event time as the store keeps it."""
        return time

    def _online_read(self, protos: Sequence[Any], features: Sequence[str]) -> list[Any]:
        return self.store.online_read(self.config, self.view, list(protos), list(features))

    def _rows(self, keys: Sequence[Key], features: Sequence[str], found: list[Any]) -> OnlineRows:
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

    def _put_seal(self, seal: Seal) -> None:
        from feast.protos.feast.types.Value_pb2 import Value

        values = {SEAL_FEATURE: Value.FromString(seal.to_bytes())}
        data = [(self.entity_keys.own(), values, datetime.now(timezone.utc), None)]
        self.store.online_write_batch(self.config, self.view, data, None)

    def _time(self, time: datetime | None) -> datetime | None:
        return None if time is None else self.moment(time)

    def moment(self, time: datetime) -> datetime:
        """Return an event time that the store gave, timezone-aware."""
        # Feast's PostgreSQL store writes the UTC clock without its zone and reads it back in the
        # zone of the session: there the clock is right and the zone is not.
        if time.tzinfo is None or is_a(self.store, POSTGRES_STORE):
            return time.replace(tzinfo=timezone.utc)
        return time.astimezone(timezone.utc)


def seal_value(found: Any) -> bytes | None:
    """Take the seal from what a store answered for the view's own key."""
    _, values = found
    value = (values or {}).get(SEAL_FEATURE)
    return value.SerializeToString() if value is not None else None


def not_older(time: datetime | None, stored: datetime | None) -> bool:
    """Tell whether a row may be written over what is stored."""
    return stored is None or (time is not None and time >= stored)


def by_column(
    encoded: Sequence[bytes],
    features: Sequence[str],
    records: Iterable[tuple[bytes, str, bytes, T]],
) -> tuple[dict[str, list[bytes | None]], list[T | None]]:
    """Gather values, each with the key, feature and event time it was found with, by column."""
    position = {key: row for row, key in enumerate(encoded)}
    values: dict[str, list[bytes | None]] = {name: [None] * len(encoded) for name in features}
    times: list[T | None] = [None] * len(encoded)
    for key, name, value, time in records:
        column = values.get(name)
        if column is not None:
            row = position[key]
            column[row] = value
            known = times[row]
            # Features written apart have times apart: the oldest speaks for the row.
            times[row] = time if known is None or time < known else known
    return values, times


def search_texts(column: Sequence[bytes | None], kind: ValueType) -> list[str | None]:
    """Write what Feast keeps beside the values for its search by text."""
    if kind.name not in _SEARCHABLE:
        return [None] * len(column)
    return [None if value is None else str(value) for value in to_scalars(column, kind)]


_SEARCHABLE = ("STRING", "INT32", "INT64", "FLOAT", "DOUBLE", "BOOL")
