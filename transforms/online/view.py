"""One view of a lookup: whose rows are asked for, what the store has, and what is too old."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.columns import ServiceColumn, resolve_features
from deepfeast.transforms.errors import (
    EncoderError,
    HalfMaterialized,
    JoinError,
    SignatureMismatch,
    did_you_mean,
)
from deepfeast.transforms.features import DeepFeature, DeepViewSpec, deep_spec
from deepfeast.transforms.online.cells import Asked, cast_cells
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.online.seal import Seal, check_seals
from deepfeast.transforms.online.table import Key, OnlineRows, OnlineTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feast import FeatureStore, RepoConfig

    from deepfeast.transforms.encoders import Encoder

PRESENT, MISSING, EXPIRED, NULL = "present", "missing", "expired", "null"
GIVEN, ENCODED, REJECTED = "given", "encoded", "rejected"


@dataclass
class Found:
    """What a lookup found for one feature.

    Attributes
    ----------
    values : list of length n_rows
        Bytes of a ``Value``; empty or None where there is none.
    seen : Seen, optional
        What the store knows of the rows; None where Feast computed the feature.
    filled : dict of int to (str, object)
        Rows whose gap was filled, with the status and the value.
    bad : set of int
        Rows that cannot be looked up, for they or their keys are wrong.
    """

    values: list[bytes | None]
    seen: Seen | None = None
    filled: dict[int, tuple[str, Any]] = field(default_factory=dict)
    bad: set[int] = field(default_factory=set)

    @property
    def gaps(self) -> list[int]:
        """Rows without a value that may be given one."""
        return [row for row, value in enumerate(self.values) if not value and row not in self.bad]

    def statuses(self) -> list[str]:
        """Say of each row where its value comes from, or why there is none."""
        found = [
            PRESENT if value else self.seen.reason(row) if self.seen else NULL
            for row, value in enumerate(self.values)
        ]
        for row, (status, _) in self.filled.items():
            found[row] = status
        for row in self.bad:
            found[row] = REJECTED
        return found

    @property
    def complete(self) -> bool:
        """Whether the store has a value for every row."""
        return not self.filled and not self.bad and all(self.values)


@dataclass
class Seen:
    """What the online store knows of the rows of one view.

    Attributes
    ----------
    keys : list of tuple or None, of length n_rows
        None where a part of the key is missing.
    times : dict of tuple to datetime
        Event times of the keys that the store knows.
    oldest : datetime, optional
        Event times before it are expired.
    seal : Seal, optional
        What the rows were made with; None where the store does not say.
    """

    keys: list[Key | None]
    times: dict[Key, datetime]
    oldest: datetime | None
    seal: Seal | None = None

    def reason(self, row: int) -> str:
        """Say why a row has no value."""
        time = self.times.get(self.keys[row])  # type: ignore[arg-type]
        if time is None:
            return MISSING
        return EXPIRED if self.oldest is not None and time < self.oldest else NULL


@dataclass
class OnlineView:
    """One view of a feature service in the online store.

    Attributes
    ----------
    table : OnlineTable
    spec : DeepViewSpec, optional
        Of a deep feature view.
    join_columns : list of str
        Columns of the rows that hold its keys, in the table's order.
    features : list of ServiceColumn
    expected : dict of str to (str or None), optional
        Fingerprint by feature: rows of other encoders are refused.
    sealed : bool
        Whether the store says what the view's rows were made with.
    """

    table: OnlineTable
    spec: DeepViewSpec | None
    join_columns: list[str]
    features: list[ServiceColumn] = field(default_factory=list)
    expected: dict[str, str | None] = field(default_factory=dict)
    _passed: tuple[bytes | None, Seal | None] = (None, None)

    def __post_init__(self) -> None:
        self.sealed = self.spec is not None and self.table.sealable

    def check(self, seals: Sequence[bytes | None]) -> Seal | None:
        """Refuse rows that were read under some seals, unless all of them are what is expected.

        Raises
        ------
        HalfMaterialized
            If they are being written anew, or were begun anew while they were read.
        SignatureMismatch
            If they were made with other encoders than those expected, or nobody knows.
        """
        known, found = self._passed
        if found is not None and seals[0] == known == seals[-1]:
            return found
        name = self.table.view.name
        if found is not None and None in seals:
            raise HalfMaterialized(
                f"the online store said what the rows of view {name!r} were made with, and does "
                f"so no more: they are being written anew, or were removed. Ask again."
            )
        found = check_seals(name, seals, self.expected)
        self._passed = seals[-1], found
        return found

    def deep(self, feature: ServiceColumn) -> DeepFeature | None:
        """Return the declaration of a deep feature, None of any other."""
        return self.spec.feature(feature.feature) if self.spec else None

    def read(self, keys: list[Key | None], now: datetime) -> dict[str, Found]:
        """Read the features of some rows, each key once.

        Parameters
        ----------
        keys : list of tuple or None, of length n_rows
            As `keys` returns them.
        now : datetime
            What ttl is counted from.

        Returns
        -------
        dict of str to Found
            By the feature's name; values older than the view's ttl are left out.

        Raises
        ------
        SignatureMismatch
            As `check`.
        """
        distinct = list(dict.fromkeys(key for key in keys if key is not None))
        names = [feature.feature for feature in self.features]
        seal = None
        if self.sealed:
            rows = self.table.read_sealed(distinct, names)
            seal = self.check(rows.seals)
        else:
            rows = self.table.read(distinct, names)
        since = oldest(self.table.view, now)
        times = {key: time for key, time in zip(distinct, rows.times, strict=True) if time}
        seen = Seen(keys, times, since, seal)
        if since is not None:
            fresh = [time is not None and time >= since for time in rows.times]
            for column in rows.values.values():
                column[:] = [
                    v if is_fresh else None for v, is_fresh in zip(column, fresh, strict=True)
                ]
        if len(distinct) == len(keys):
            return {f.name: Found(rows.values[f.feature], seen) for f in self.features}
        place = {key: row for row, key in enumerate(distinct)}
        rows_of = [place.get(key, -1) for key in keys]  # type: ignore[arg-type]
        return {
            f.name: Found(_gather(rows.values[f.feature], rows_of), seen) for f in self.features
        }

    def encoder(self, config: RepoConfig, deep: DeepFeature, fingerprint: str | None) -> Encoder:
        """Return the encoder of a deep feature that gives vectors of a fingerprint.

        Raises
        ------
        SignatureMismatch
            If the feature is declared with another.
        """
        from deepfeast.transforms.embeddings.state import fitted_encoder
        from deepfeast.transforms.encoders import build_encoder
        from deepfeast.transforms.files.place import source_uri

        if fingerprint is None:
            return build_encoder(deep)
        table: Any = self.table.view.batch_source
        try:
            return fitted_encoder(deep, source_uri(config, table), fingerprint)
        except EncoderError as error:
            raise SignatureMismatch(
                f"{self.table.view.name}:{deep.name} is served with vectors of encoder "
                f"{fingerprint[:12]}…, and the repo declares another, so that nothing can be "
                f"encoded on the spot: {error} Then run feast materialize-incremental."
            ) from error

    def keys(self, asked: Asked) -> list[Key | None]:
        """Return the key of each row, each part of the type that its entity declares.

        None where a part is missing or wrong; what is wrong is added to ``asked.bad``.

        Raises
        ------
        JoinError
            If no row has a part of the key; it names what they have.
        """
        from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL

        if self.join_columns == [DUMMY_ENTITY_ID]:
            return [(DUMMY_ENTITY_VAL,)] * len(asked)
        parts = []
        kinds = self.table.entity_keys.join_keys.values()
        for name, kind in zip(self.join_columns, kinds, strict=True):
            if name not in asked.columns and len(asked.bad) < len(asked):
                raise JoinError(
                    f"the rows have no column {name!r}, the entity key of view "
                    f"{self.table.view.name!r}. They have: {', '.join(asked.columns) or 'nothing'}."
                    f"{did_you_mean(name, asked.columns)}"
                )
            cells = asked.columns.get(name, [None] * len(asked))
            values, bad = cast_cells(cells, kind.name)
            for row, wrong in bad.items():
                asked.bad.setdefault(row, f"key {name!r}: {wrong}")
            parts.append(values)
        keys: list[Key] = list(zip(*parts, strict=True))
        return [None if None in key else key for key in keys]

    def push(self, found: dict[str, Found], now: datetime) -> None:
        """Write vectors that were encoded on the spot to the online store, but for forgotten keys.

        Raises
        ------
        RunInProgress
            If the view was begun anew since the rows were read.
        """
        from deepfeast.transforms.arrow import matrix_to_vectors
        from deepfeast.transforms.embeddings.tombstones import read_tombstones
        from deepfeast.transforms.files.place import source_uri
        from deepfeast.transforms.online.protos import to_values

        names = self.table.entity_keys.join_keys
        # Given again with a forgotten key, a text is answered, and not kept.
        source: Any = self.table.view.batch_source
        gone = read_tombstones(source_uri(self.table.config, source)) if self.spec else None
        for feature in self.features:
            answer, deep = found[feature.name], self.deep(feature)
            assert answer.seen is not None
            vectors = {
                key: vector
                for row, (status, vector) in answer.filled.items()
                if status == ENCODED and (key := answer.seen.keys[row]) is not None
                if gone is None or not gone.has(dict(zip(names, key, strict=True)))
            }
            if deep and vectors:
                column = matrix_to_vectors(np.stack(list(vectors.values())))
                kind = feature.dtype.to_value_type()
                values: list[bytes | None] = [*to_values(column, kind, deep.storage)]
                rows = OnlineRows([*vectors], [now] * len(vectors), {feature.feature: values})
                seal = answer.seen.seal
                self.table.write_newer(rows, seal.epoch if seal else None)


def oldest(view: Any, now: datetime) -> datetime | None:
    """Return the earliest event time that is not expired; None where nothing expires."""
    ttl: timedelta | None = getattr(view, "ttl", None)
    return now - ttl if ttl else None


def _gather(column: list[bytes | None], rows: list[int]) -> list[bytes | None]:
    return [None if row < 0 else column[row] for row in rows]


def open_views(
    store: FeatureStore, service: str | Sequence[str], features: list[ServiceColumn]
) -> tuple[list[OnlineView], list[ServiceColumn]]:
    """Group features by view; those of on-demand views are returned apart."""
    from feast import OnDemandFeatureView

    known = {view.name: view for view in store.list_all_feature_views()}
    join_key_maps = {}
    named = resolve_features(store, service)
    if not isinstance(named, list):
        join_key_maps = {p.name_to_use(): p.join_key_map for p in named.feature_view_projections}
    grouped: dict[str, OnlineView] = {}
    computed = []
    for feature in features:
        view: Any = known[feature.registered]
        if isinstance(view, OnDemandFeatureView):
            computed.append(feature)
            continue
        if feature.view not in grouped:
            table = online_table(store.provider.online_store, store.config, view)
            renamed = join_key_maps.get(feature.view) or {}
            join_columns = [renamed.get(name, name) for name in table.entity_keys.join_keys]
            grouped[feature.view] = OnlineView(table, deep_spec(view), join_columns)
        grouped[feature.view].features.append(feature)
    return list(grouped.values()), computed
