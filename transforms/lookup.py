"""The training frame's columns for entities of now, read from the online store.

Feast answers with lists of lists in no stated order, and serves values past their ttl. A lookup
answers with the columns a model was trained on, in their order, as a frame or a float32 matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.arrow import matrix_to_vectors
from deepfeast.transforms.columns import ServiceColumn, resolve_features, service_columns
from deepfeast.transforms.errors import JoinError, did_you_mean
from deepfeast.transforms.online_tables import Key, OnlineRows, OnlineTable, online_table
from deepfeast.transforms.protos import to_scalars, to_values, to_vectors
from deepfeast.transforms.views import DeepFeature, deep_spec

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore
    from numpy.typing import NDArray

    from deepfeast.transforms.encoders.base import Encoder

Rows = Any  # a list of dicts, or a DataFrame
PRESENT, MISSING, EXPIRED, NULL = "present", "missing", "expired", "null"
GIVEN, ENCODED, REJECTED = "given", "encoded", "rejected"


@dataclass
class _View:
    """One view of the service: its online table, and what is asked of it."""

    table: OnlineTable
    join_columns: list[str]  # columns of the rows that hold its keys, in the table's order
    features: list[ServiceColumn]
    ttl: float  # seconds; 0 means for ever
    deep: dict[str, DeepFeature]


@dataclass
class _Found:
    """What was found for one feature."""

    values: list[bytes | None]
    statuses: list[str]
    vectors: dict[int, NDArray[np.float32]] = field(default_factory=dict)  # encoded on the spot
    given: dict[int, Any] = field(default_factory=dict)  # taken from the rows


class OnlineFeatures:
    """Looks up a feature service's columns, as a model was trained on them.

    Parameters
    ----------
    store : FeatureStore or path of a Feast repo
    service : str or sequence of str
        A feature service, or feature references ``"view:feature"``.
    expect : Signature or path, optional
        What the model was trained on.
    full_feature_names : bool
        As the training frame was made.

    Raises
    ------
    FeatureNotFound
        If there is no such service.
    SignatureMismatch
        If what is served differs from `expect`; it names the difference.

    Examples
    --------
    >>> online = OnlineFeatures("feature_repo", "price_model")  # doctest: +SKIP
    >>> online.frame([{"listing_id": "f9dc"}])  # doctest: +SKIP
    """

    def __init__(
        self,
        store: FeatureStore | str | Path,
        service: str | Sequence[str],
        *,
        expect: Any = None,
        full_feature_names: bool = False,
    ):
        from feast import FeatureStore

        if not isinstance(store, FeatureStore):
            store = FeatureStore(repo_path=str(store))
        self.store, self.service = store, service
        self.features = service_columns(store, service, full_feature_names=full_feature_names)
        self.columns = [name for feature in self.features for name in feature.columns]
        self._kinds = {f.name: f.dtype.to_value_type() for f in self.features}
        self._encoders: dict[DeepFeature, Encoder] = {}
        self._views, self._computed = _resolve(store, service, self.features)
        self._full_names = full_feature_names

    def frame(
        self,
        rows: Rows,
        *,
        statuses: bool = False,
        push: bool = False,
        now: datetime | None = None,
    ) -> Any:
        """Look rows up.

        Parameters
        ----------
        rows : list of dict, or DataFrame, of length n_rows
            Entity keys. What the online store does not have may be given beside them: the raw
            column of a deep feature (it is encoded as the embed job would), or a handcrafted
            feature by its name.
        statuses : bool
            Return the statuses, too.
        push : bool
            Write what was encoded to the online store.
        now : datetime, optional
            The time that ttl is counted from; by default the present.

        Returns
        -------
        DataFrame of shape (n_rows, n_columns)
            The training frame's feature columns, in its order and types. NaN for what is
            missing, null or older than its view's ttl. The index is that of `rows`.
        DataFrame of shape (n_rows, n_features)
            With `statuses`: ``present``, ``missing``, ``expired``, ``null``, ``given``,
            ``encoded`` or ``rejected`` for each feature.

        Raises
        ------
        JoinError
            If the rows lack an entity key; it names those present.
        """
        import pandas as pd

        found, index = self._find(rows, push, now)
        frame = _assemble([self._column(f, found[f.name]) for f in self.features], index)
        if not statuses:
            return frame
        table = {feature.name: found[feature.name].statuses for feature in self.features}
        return frame, pd.DataFrame(table, index=index)

    def matrix(
        self, rows: Rows, *, push: bool = False, now: datetime | None = None
    ) -> tuple[NDArray[np.float32], list[str]]:
        """Look rows up as one matrix; parameters as in `frame`.

        Returns
        -------
        X : ndarray of shape (n_rows, n_columns), float32
            NaN for what is missing.
        columns : list of str

        Raises
        ------
        JoinError
            If a feature is no number.
        """
        found, index = self._find(rows, push, now)
        X = np.empty((len(index), len(self.columns)), np.float32)
        start = 0
        for feature in self.features:
            stop = start + len(feature.columns)
            self._fill(feature, found[feature.name], X[:, start:stop])
            start = stop
        return X, list(self.columns)

    def _fill(self, feature: ServiceColumn, found: _Found, out: NDArray[np.float32]) -> None:
        if feature.dim is not None:
            self._vectors(feature, found, out)
            return
        numbers = [np.nan if value is None else value for value in self._scalars(feature, found)]
        try:
            out[:, 0] = numbers
        except (ValueError, TypeError) as error:
            raise JoinError(
                f"the feature {feature.name!r} ({feature.dtype}) is no number and has no place in "
                f"a matrix. Use frame(), or a service without it."
            ) from error

    def _vectors(
        self, feature: ServiceColumn, found: _Found, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        assert feature.dim is not None
        matrix = to_vectors(found.values, feature.dim, self._kinds[feature.name], out)
        for row, vector in found.vectors.items():
            matrix[row] = vector
        return matrix

    def _scalars(self, feature: ServiceColumn, found: _Found) -> list[Any]:
        values = to_scalars(found.values, self._kinds[feature.name])
        for row, value in found.given.items():
            values[row] = value
        return values

    def _column(self, feature: ServiceColumn, found: _Found) -> Any:
        if feature.dim is not None:
            return feature.columns, self._vectors(feature, found)
        return feature.columns, typed(self._scalars(feature, found), self._kinds[feature.name])

    def _find(self, rows: Rows, push: bool, now: datetime | None) -> tuple[dict[str, _Found], Any]:
        asked, index = _by_column(rows)
        time = (now or datetime.now(timezone.utc)).timestamp()
        found: dict[str, _Found] = {}
        for view in self._views:
            keys = _keys(asked, view, len(index))
            found |= _read(view, keys, time)
            self._take_given(view, asked, keys, found)
            if view.deep:
                self._encode(view, asked, keys, found, push, now)
        if self._computed:
            found |= self._ask_feast(asked)
        return found, index

    def _take_given(
        self, view: _View, asked: dict[str, list[Any]], keys: list[Key | None], found: Any
    ) -> None:
        """Fill gaps with features that the rows bring themselves."""
        for feature in view.features:
            if feature.feature in asked and feature.feature not in view.deep:
                result = found[feature.name]
                for row, value in enumerate(asked[feature.feature]):
                    if value is not None and not result.values[row]:
                        result.given[row] = value
                        result.statuses[row] = GIVEN

    def _encode(
        self,
        view: _View,
        asked: dict[str, list[Any]],
        keys: list[Key | None],
        found: dict[str, _Found],
        push: bool,
        now: datetime | None,
    ) -> None:
        """Fill gaps with vectors of the raw values in the rows, as the embed job makes them."""
        for feature in view.features:
            deep = view.deep[feature.feature]
            raw, result = asked.get(deep.column), found[feature.name]
            todo = [
                row
                for row in range(len(keys))
                if raw is not None and raw[row] is not None and not result.values[row]
            ]
            if not todo:
                continue
            vectors, rejects = self._encode_values(deep, [raw[row] for row in todo])
            for position, row in enumerate(todo):
                missing = np.isnan(vectors[position]).any()
                result.vectors[row] = vectors[position]
                result.statuses[row] = (
                    REJECTED if position in rejects else NULL if missing else ENCODED
                )
            if push:
                _push(view, feature, keys, result, now or datetime.now(timezone.utc))

    def _encode_values(self, deep: DeepFeature, values: list[Any]) -> Any:
        import pyarrow as pa

        from deepfeast.transforms.contents import encode_column, image_reader
        from deepfeast.transforms.encoders import build_encoder

        if deep not in self._encoders:
            self._encoders[deep] = build_encoder(deep)
        encoder = self._encoders[deep]
        reader = image_reader(self._root(deep), encoder.modality)
        return encode_column(pa.array(values), encoder, reader)

    def _root(self, deep: DeepFeature) -> str:
        """Return the folder that image paths are relative to."""
        return deep.root or str(self.store.repo_path)

    def _ask_feast(self, asked: dict[str, list[Any]]) -> dict[str, _Found]:
        """Have Feast compute the features of on-demand views."""
        references = [feature.reference for feature in self._computed]
        proto = self.store.get_online_features(
            references, asked, full_feature_names=self._full_names
        ).proto
        answers = dict(zip(proto.metadata.feature_names.val, proto.results, strict=True))
        found = {}
        for feature in self._computed:
            values = [value.SerializeToString() for value in answers[feature.name].values]
            statuses = [PRESENT if value else NULL for value in values]
            found[feature.name] = _Found(list(values), statuses)
        return found


def _resolve(
    store: FeatureStore, service: Any, features: list[ServiceColumn]
) -> tuple[list[_View], list[ServiceColumn]]:
    """Group features by view; those of on-demand views are Feast's to compute."""
    from feast import OnDemandFeatureView

    known = {view.name: view for view in store.list_all_feature_views()}
    named = resolve_features(store, service)
    projections = (
        {}
        if isinstance(named, list)
        else {projection.name_to_use(): projection for projection in named.feature_view_projections}
    )
    grouped: dict[str, _View] = {}
    computed = []
    for feature in features:
        view = known[feature.registered]
        if isinstance(view, OnDemandFeatureView):
            computed.append(feature)
            continue
        if feature.view not in grouped:
            renamed = getattr(projections.get(feature.view), "join_key_map", None) or {}
            grouped[feature.view] = _open_view(store, view, renamed)
        grouped[feature.view].features.append(feature)
    return list(grouped.values()), computed


def _open_view(store: FeatureStore, view: Any, renamed: dict[str, str]) -> _View:
    table = online_table(store._get_provider().online_store, store.config, view)
    spec = deep_spec(view)
    return _View(
        table=table,
        join_columns=[renamed.get(name, name) for name in table.entity_keys.join_keys],
        features=[],
        ttl=view.ttl.total_seconds() if view.ttl else 0.0,
        deep={deep.name: deep for deep in spec.features} if spec else {},
    )


def _by_column(rows: Rows) -> tuple[dict[str, list[Any]], Any]:
    """Turn rows into columns, None for what is missing, and their index."""
    if isinstance(rows, dict) or isinstance(rows, str):
        raise JoinError(
            "expected a list of rows, such as [{'listing_id': 'f9dc'}], or a DataFrame."
        )
    if hasattr(rows, "columns"):
        missing = rows.isna()
        return {
            name: [
                None if m else v for v, m in zip(rows[name].tolist(), missing[name], strict=True)
            ]
            for name in rows.columns
        }, rows.index
    rows = list(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}, range(len(rows))


def _keys(asked: dict[str, list[Any]], view: _View, count: int) -> list[Key | None]:
    """Return the key of each row, None where a part of it is missing."""
    from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL

    if view.join_columns == [DUMMY_ENTITY_ID]:
        return [(DUMMY_ENTITY_VAL,)] * count
    for name in view.join_columns:
        if name not in asked and count:
            raise JoinError(
                f"the rows have no column {name!r}, the entity key of view "
                f"{view.table.view.name!r}. They have: {', '.join(asked) or 'nothing'}."
                f"{did_you_mean(name, asked)}"
            )
    clean = view.table.entity_keys.clean
    rows = zip(*(asked.get(name, []) for name in view.join_columns), strict=True)
    return [None if None in key else clean(key) for key in rows]


def _read(view: _View, keys: list[Key | None], now: float) -> dict[str, _Found]:
    """Read one view, each key once, and drop what is too old."""
    distinct = {
        key: row for row, key in enumerate(dict.fromkeys(key for key in keys if key is not None))
    }
    rows = view.table.read(list(distinct), [feature.feature for feature in view.features])
    oldest = now - view.ttl if view.ttl else float("-inf")
    expired = [time is not None and time.timestamp() < oldest for time in rows.times]
    places = [distinct.get(key, -1) for key in keys]  # type: ignore[arg-type]
    found = {}
    for feature in view.features:
        column = [
            None if old else v for v, old in zip(rows.values[feature.feature], expired, strict=True)
        ]
        found[feature.name] = _Found(
            [None if place < 0 else column[place] for place in places],
            [
                MISSING if place < 0 else _status(rows, place, column[place], expired[place])
                for place in places
            ],
        )
    return found


def _status(rows: OnlineRows, place: int, value: bytes | None, expired: bool) -> str:
    if rows.times[place] is None:
        return MISSING
    return EXPIRED if expired else PRESENT if value else NULL


def _push(
    view: _View, feature: ServiceColumn, keys: list[Key | None], found: _Found, now: datetime
) -> None:
    """Write vectors that were encoded on the spot to the online store."""
    rows = {
        key: row
        for row, key in enumerate(keys)
        if key is not None and found.statuses[row] == ENCODED
    }
    if rows:
        column = matrix_to_vectors(np.stack([found.vectors[row] for row in rows.values()]))
        values = list(to_values(column, feature.dtype.to_value_type()))
        view.table.write_newer(OnlineRows(list(rows), [now] * len(rows), {feature.feature: values}))


def typed(values: list[Any], kind: Any) -> Any:
    """Give a column the type that the training frame has.

    An int stays an int unless a value is missing, then it is pandas' nullable Int64; likewise
    for bools.
    """
    import pandas as pd

    missing = any(value is None for value in values)
    if kind.name in _PLAIN:
        plain, nullable = _PLAIN[kind.name]
        if missing and nullable:
            return pd.array(values, dtype=nullable)
        return np.array([np.nan if v is None else v for v in values] if missing else values, plain)
    column = np.empty(len(values), object)
    column[:] = values
    return column


_PLAIN = {
    "INT32": ("int32", "Int32"),
    "INT64": ("int64", "Int64"),
    "BOOL": ("bool", "boolean"),
    "FLOAT": ("float32", None),
    "DOUBLE": ("float64", None),
}


def _assemble(columns: Iterable[tuple[tuple[str, ...], Any]], index: Any) -> pd.DataFrame:
    """Put columns side by side, without one Series for each number of a vector."""
    import pandas as pd

    blocks = []
    for names, data in columns:
        if getattr(data, "ndim", 1) == 2:
            blocks.append(pd.DataFrame(data, columns=list(names), index=index, copy=False))
        else:
            blocks.append(pd.DataFrame({names[0]: data}, index=index, copy=False))
    return pd.concat(blocks, axis=1) if blocks else pd.DataFrame(index=index)
