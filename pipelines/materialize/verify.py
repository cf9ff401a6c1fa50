"""Does the online store have what the offline tables say? Key by key, as of now.

What is compared is what a lookup would serve: bytes, event times, and what is too old on both
sides counts as nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.materialize.job import count_parts, find_latest, read_rows
from deepfeast.pipelines.materialize.source import needs_feast, open_view
from deepfeast.transforms.errors import FeatureNotFound, SpecError, did_you_mean
from deepfeast.transforms.history.latest import Span
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.online.seal import judge_seal
from deepfeast.transforms.online.table import Key, OnlineRows, OnlineTable
from deepfeast.transforms.times import in_utc

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView
    from numpy.typing import NDArray

    from deepfeast.pipelines.materialize.source import Source

MISSING, STALE, DIFFERENT, EXTRA = "missing", "stale", "different", "extra"
SHOWN = 100
BATCH_ROWS = 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Difference:
    """One key of which the online store and the table differ.

    Attributes
    ----------
    kind : {"missing", "stale", "different", "extra"}
        Not online; online with an earlier event time; online with other values, or with a later
        event time; online alone.
    key : dict of str to object
        By join key.
    features : list of str
        Those whose values differ.
    offline, online : datetime or None
        The event times.
    """

    kind: str
    key: dict[str, Any]
    features: list[str]
    offline: datetime | None
    online: datetime | None


@dataclass
class Verified:
    """What a comparison found.

    Attributes
    ----------
    view : str
    keys : int
        How many were compared.
    counts : dict of str to (int or None)
        By kind of difference; `extra` is None where it was not looked for: of a sample, or where
        the store cannot list its keys.
    seal : str
        What is wrong with what the store says of itself; empty where it is right, or where there
        is nothing to say.
    differences : list of Difference
        The first 100.
    """

    view: str
    keys: int
    counts: dict[str, int | None]
    seal: str
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not any(self.counts.values()) and not self.seal

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            **vars(self),
            "differences": [
                {name: _plain(value) for name, value in vars(one).items()}
                for one in self.differences
            ],
            "equal": self.equal,
        }

    def rows(self, limit: int) -> list[dict[str, Any]]:
        """Return the first differences as rows of text."""
        return [
            {
                "": one.kind,
                **{name: str(value) for name, value in one.key.items()},
                "features": ", ".join(one.features),
                "table": one.offline and f"{one.offline:%Y-%m-%d %H:%M:%S}",
                "online": one.online and f"{one.online:%Y-%m-%d %H:%M:%S}",
            }
            for one in self.differences[:limit]
        ]

    def __str__(self) -> str:
        """Say it in one line.

        >>> counts = {"missing": 1, "stale": 0, "different": 0, "extra": None}
        >>> print(Verified("deep", 9, counts, ""))
        deep: 9 keys compared: 1 missing, 0 stale, 0 different; keys online alone not looked for
        """
        counts = [f"{count:,} {kind}" for kind, count in self.counts.items() if count is not None]
        extra = "" if self.counts[EXTRA] is not None else "; keys online alone not looked for"
        seal = f"; {self.seal}" if self.seal else ""
        return f"{self.view}: {self.keys:,} keys compared: {', '.join(counts)}{extra}{seal}"


def verify(
    store: FeatureStore, view: str, *, sample: int | None = None, now: datetime | None = None
) -> Verified:
    """Compare a view's online rows with the latest rows of its table.

    Parameters
    ----------
    store : FeatureStore
    view : str
        A feature view over a table: deep or not.
    sample : int, optional
        Compare that many keys, drawn anew each time; by default all of them.
    now : datetime, optional
        Later rows are left out, and ttl is counted from here; by default the present.

    Returns
    -------
    Verified

    Raises
    ------
    FeatureNotFound
        If there is no such view.
    SpecError
        If it is computed on its way online, or is not online at all.
    NeverEmbedded
        If a deep view has no table yet.
    """
    found, now = _find(store, view), in_utc(now or datetime.now(timezone.utc))
    table = online_table(store.provider.online_store, store.config, found)
    span = Span(_EPOCH, now)
    with tempfile.TemporaryDirectory(prefix="deepfeast-") as folder:
        offline: Any = store.provider
        source, holds = open_view(store.config, offline.offline_store, found, span, Path(folder))
        seal = judge_seal(table.seal(), holds) if holds is not None and table.sealable else ""
        oldest = now - found.ttl if found.ttl else None
        comparison = _Comparison(table, oldest)
        for group, rows in _chosen(source, Span(None, now), sample):
            for batch in read_rows(source, found, group, rows, BATCH_ROWS):
                comparison.add(batch)
        if sample is None:
            comparison.look_for_more()
    return Verified(view, comparison.keys, comparison.counts, seal, comparison.differences)


def _find(store: FeatureStore, name: str) -> FeatureView:
    views = {view.name: view for view in store.list_feature_views()}
    if name not in views:
        raise FeatureNotFound(
            f"no feature view {name!r} in project {store.project!r}. Views: "
            f"{', '.join(sorted(views)) or 'none; run feast apply first'}."
            f"{did_you_mean(name, views)}"
        )
    if needs_feast(views[name]) or not views[name].online:
        raise SpecError(
            f"view {name!r} cannot be verified: it is computed on its way online, or declared "
            f"with online=False. Verify a view whose rows are those of its table."
        )
    return views[name]


def _chosen(
    source: Source, span: Span, sample: int | None
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield the latest rows, or some of them, by row group."""
    parts = count_parts(source)
    found = [find_latest(source, span, part, parts) for part in range(parts)]
    rows = np.sort(np.concatenate(found))
    if sample is not None and sample < len(rows):
        rows = np.sort(np.random.default_rng().choice(rows, sample, replace=False))
    yield from source.table.by_group(rows)


class _Comparison:
    """Counts differences, and remembers the first of them."""

    def __init__(self, table: OnlineTable, oldest: datetime | None):
        self.table, self.oldest = table, oldest
        self.features = [feature.name for feature in table.view.features]
        self.keys = 0
        self.counts: dict[str, int | None] = {MISSING: 0, STALE: 0, DIFFERENT: 0, EXTRA: None}
        self.differences: list[Difference] = []
        self._seen: list[NDArray[np.int64]] = []

    def add(self, offline: OnlineRows) -> None:
        """Compare some rows with what is online."""
        online = self.table.read(offline.keys, self.features)
        self.keys += len(offline.keys)
        self._seen.append(self._hashes(offline.keys))
        for row, key in enumerate(offline.keys):
            expected, time = offline.times[row], online.times[row]
            if expected is None or (self._expired(expected) and self._expired(time)):
                continue
            other = [
                name
                for name in self.features
                if not _same(offline.values[name][row], online.values[name][row])
            ]
            kept = self.table.kept(expected)
            if time is None:
                self._note(MISSING, key, other, expected, None)
            elif time < kept:
                self._note(STALE, key, other, expected, time)
            elif time > kept or other:
                self._note(DIFFERENT, key, other, expected, time)

    def look_for_more(self) -> None:
        """Find the keys that are online alone, where the store can list its keys."""
        listed = self.table.keys()
        if listed is None:
            return
        self.counts[EXTRA] = 0
        seen = np.sort(np.concatenate([np.empty(0, np.int64), *self._seen]))
        for keys in listed:
            at = np.searchsorted(seen, hashes := self._hashes(keys))
            known = np.zeros(len(keys), bool)
            known[at < len(seen)] = seen[at[at < len(seen)]] == hashes[at < len(seen)]
            alone = [key for key, is_known in zip(keys, known, strict=True) if not is_known]
            online = self.table.read(alone, self.features) if alone else OnlineRows([], [])
            for key, time in zip(online.keys, online.times, strict=True):
                if not self._expired(time):
                    self._note(EXTRA, key, self.features, None, time)

    def _expired(self, time: datetime | None) -> bool:
        return time is None or (self.oldest is not None and time < self.oldest)

    def _hashes(self, keys: Sequence[Key]) -> NDArray[np.int64]:
        return np.array([hash(self.table.entity_keys.to_bytes(key)) for key in keys], np.int64)

    def _note(
        self,
        kind: str,
        key: Key,
        features: list[str],
        offline: datetime | None,
        online: datetime | None,
    ) -> None:
        self.counts[kind] = (self.counts[kind] or 0) + 1
        if len(self.differences) < SHOWN:
            names = self.table.entity_keys.join_keys
            named = dict(zip(names, key, strict=True))
            self.differences.append(Difference(kind, named, features, offline, online))


def _same(offline: bytes | None, online: bytes | None) -> bool:
    if (offline or b"") == (online or b""):
        return True
    from feast.protos.feast.types.Value_pb2 import Value

    # A store may write the fields of one value in another order.
    return Value.FromString(offline or b"") == Value.FromString(online or b"")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value if isinstance(value, str | int | float | list | None) else str(value)
