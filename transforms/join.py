"""The training frame: label rows with every feature beside them, as flat columns.

On deepfeast's own offline store vectors go from the file straight into one float32 matrix.
Any other store answers through Feast's own join; what such a store drops or reorders is
put back, and said once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deepfeast.transforms.arrow import vectors_to_matrix
from deepfeast.transforms.columns import ServiceColumn, resolve_features, service_columns
from deepfeast.transforms.errors import ColumnNotFound, JoinError
from deepfeast.transforms.signature import signature_of
from deepfeast.transforms.times import utc_times

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureService, FeatureStore

TIMESTAMP = "event_timestamp"
ROW = "deepfeast_row"
OWN_CONFIG = "DeepFeastOfflineStoreConfig"
_SAID: set[str] = set()


def training_frame(
    store: FeatureStore | str | Path,
    labels: pd.DataFrame,
    *,
    service: str | FeatureService | None = None,
    features: Sequence[str] | None = None,
    as_known_at: str | None = None,
    dtype: str = "float32",
    full_feature_names: bool = False,
) -> pd.DataFrame:
    """Put each label row's features beside it, as of its own time.

    Parameters
    ----------
    store : FeatureStore, str or Path
        The store, or the folder of its repo.
    labels : DataFrame of shape (n_rows, n_columns)
        Entity keys and ``event_timestamp`` (times, or text that says times; UTC unless a time
        zone is given).
    service : str or FeatureService
        A Feast feature service, e.g. ``"price_model"``.
    features : sequence of str, optional
        References ``"view:feature"``, instead of a service.
    as_known_at : {None, "created"}
        ``"created"`` also leaves out what had not been computed yet at the label's time, by the
        created timestamp. For models that serve from batch: a backfill then cannot leak.
    dtype : {"float32", "float16"}
        Of the vectors' columns.
    full_feature_names : bool
        Put ``<view>__`` in front of every feature.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns + n_features)
        The rows of `labels`, same order and index, label columns untouched, then the features in
        the service's order. A vector is ``<feature>_000``…, NaN where none was known. An integer
        stays one; where one is missing the column is pandas' Int64.
        ``.attrs["deepfeast"]`` holds the signature.

    Raises
    ------
    ColumnNotFound
        If `labels` lacks an entity key or ``event_timestamp``; it names those present.
    JoinError
        If times or keys cannot be used, or a feature is named like a label column.
    NeverEmbedded
        If a deep feature view has no embedding table yet.

    Examples
    --------
    >>> training_frame("feature_repo", labels, service="price_model")  # doctest: +SKIP
    """
    import pandas as pd

    if dtype not in ("float32", "float16"):
        raise JoinError(f"dtype={dtype!r}: expected 'float32' or 'float16'.")
    query = _Query.of(store, labels, service or features, as_known_at, full_feature_names)
    taken = {name for column in query.columns for name in column.columns} & set(labels.columns)
    if taken:
        raise JoinError(
            f"the labels already have columns called {', '.join(sorted(taken)[:3])}, which are "
            f"also features. Drop or rename them, or pass full_feature_names=True."
        )
    matrices = {
        column.name: np.empty((len(labels), column.dim), np.dtype(dtype))
        for column in query.columns
        if column.dim is not None
    }
    scalars = query.gather(matrices)
    parts: list[pd.DataFrame] = [labels]
    for column in query.columns:
        if column.dim is not None:
            names = pd.Index(column.columns)
            block = pd.DataFrame(
                matrices[column.name], index=labels.index, columns=names, copy=False
            )
            parts.append(block)
        else:
            parts.append(_series(scalars.column(column.name), column, labels.index).to_frame())
    frame = pd.concat(parts, axis=1, copy=False)  # type: ignore[call-overload]
    frame.attrs = {**labels.attrs, "deepfeast": query.signature()}
    return frame


def training_matrix(
    store: FeatureStore | str | Path,
    labels: pd.DataFrame,
    *,
    service: str | FeatureService | None = None,
    features: Sequence[str] | None = None,
    as_known_at: str | None = None,
    dtype: str = "float32",
    full_feature_names: bool = False,
) -> tuple[NDArray[np.floating], list[str]]:
    """Gather the features alone, as one matrix: the training frame without a DataFrame.

    Parameters
    ----------
    store, labels, service, features, as_known_at, dtype, full_feature_names
        As in `training_frame`.

    Returns
    -------
    X : ndarray of shape (n_rows, n_features), C-contiguous
        NaN where a value is missing.
    columns : list of str
        The name of each column of `X`, as in the training frame.

    Raises
    ------
    JoinError
        If a feature is no number; otherwise as `training_frame`.
    """
    query = _Query.of(store, labels, service or features, as_known_at, full_feature_names)
    names = [name for column in query.columns for name in column.columns]
    X = np.empty((len(labels), len(names)), np.dtype(dtype))
    slots, position = {}, 0
    for column in query.columns:
        slots[column.name] = X[:, position : position + len(column.columns)]
        position += len(column.columns)
    vectors = {c.name: slots[c.name] for c in query.columns if c.dim is not None}
    scalars = query.gather(vectors)
    for column in query.columns:
        if column.dim is None:
            slots[column.name][:, 0] = _numbers(scalars.column(column.name), column)
    return X, names


class _Query:
    """Checked arguments, and the two ways to an answer."""

    def __init__(
        self,
        store: FeatureStore,
        keys: pd.DataFrame,
        features: Any,
        columns: list[ServiceColumn],
        known: bool,
        full_names: bool,
    ):
        self.store, self.keys, self.features = store, keys, features
        self.columns, self.known, self.full_names = columns, known, full_names

    @classmethod
    def of(
        cls,
        store: FeatureStore | str | Path,
        labels: pd.DataFrame,
        features: Any,
        as_known_at: str | None,
        full_names: bool,
    ) -> _Query:
        """Check what the user gave, and say what is wrong with it."""
        if as_known_at not in (None, "created"):
            raise JoinError(f"as_known_at={as_known_at!r}: expected None or 'created'.")
        if features is None:
            raise JoinError("say which features: service='price_model', or features=[...].")
        store = open_store(store)
        columns = service_columns(store, features, full_feature_names=full_names)
        features = resolve_features(store, features)
        needed = {TIMESTAMP: "the time of each label", **label_columns(store, features)}
        for name, reason in needed.items():
            if name not in labels.columns:
                raise ColumnNotFound.of(name, f"the labels ({reason})", map(str, labels.columns))
        del needed[TIMESTAMP]
        keys = labels[list(needed)].reset_index(drop=True)
        times = utc_times(labels[TIMESTAMP], TIMESTAMP).reset_index(drop=True)
        if times.isna().any():
            raise JoinError(
                f"{int(times.isna().sum())} label rows have no {TIMESTAMP}: nothing is known as of "
                f"no time. Drop them: labels.dropna(subset=[{TIMESTAMP!r}])."
            )
        keys[TIMESTAMP] = times
        return cls(store, keys, features, columns, as_known_at == "created", full_names)

    def gather(self, matrices: dict[str, NDArray[np.floating]]) -> pa.Table:
        """Fill the matrices with vectors; return the other features, a row for each label."""
        rest = [column.name for column in self.columns if column.name not in matrices]
        if type(self.store.config.offline_store).__name__ == OWN_CONFIG:
            job = self._job(self.keys, self.features)
            if job.point_in_time:
                return job.point_in_time().features(matrices).select(rest)
            table, rows = job.to_arrow(), np.arange(len(self.keys))
        else:
            table, rows = self._ask_any_store()
        there = rows >= 0
        for name, matrix in matrices.items():
            matrix[~there] = np.nan
            matrix[there] = vectors_to_matrix(table.column(name), matrix.shape[1])[rows[there]]
        return table.select(rest).take(pa.array(rows, mask=~there))

    def signature(self) -> dict[str, Any]:
        """Describe the columns and the encoders behind them."""
        name = getattr(self.features, "name", None)
        return signature_of(self.store, self.columns, service=name)

    def _job(self, keys: pd.DataFrame, features: Any) -> Any:
        return self.store.get_historical_features(
            entity_df=keys,
            features=features,
            full_feature_names=self.full_names,
            filter_by_created_timestamp=self.known,
        )

    def _ask_any_store(self) -> tuple[pa.Table, NDArray[np.int64]]:
        """Ask for each distinct key once; return what came, and its row for each label or -1."""
        names = list(self.keys.columns)
        distinct = self.keys.drop_duplicates().reset_index(drop=True)
        groups = self.keys.groupby(names, dropna=False, sort=False).ngroup().to_numpy()
        asked = distinct.assign(**{ROW: np.arange(len(distinct), dtype=np.int64)})
        table = self._job(asked, self.features).to_arrow().combine_chunks()
        rows = np.full(len(distinct), -1, np.int64)
        rows[table.column(ROW).to_numpy()] = np.arange(len(table))
        if (rows < 0).any():
            self._say_lost(int((rows < 0).sum()))
        return table, rows[groups]

    def _say_lost(self, lost: int) -> None:
        kind = type(self.store.config.offline_store).__name__.removesuffix("Config")
        if kind not in _SAID:
            _SAID.add(kind)
            warnings.warn(
                f"{kind} dropped {lost} label rows for which it found no features; they are kept, "
                f"with missing values. DeepFeastOfflineStore drops none: set offline_store.type in "
                f"feature_store.yaml to deepfeast.pipelines.offline_store.DeepFeastOfflineStore.",
                stacklevel=5,
            )


def open_store(store: FeatureStore | str | Path) -> FeatureStore:
    """Return the store of a repo's folder, or the store itself."""
    if not isinstance(store, (str, Path)):
        return store
    from feast import FeatureStore

    return FeatureStore(repo_path=str(store))


def label_columns(store: FeatureStore, features: FeatureService | list[str]) -> dict[str, str]:
    """Name the columns that labels must have beside their time, each with who needs it.

    Parameters
    ----------
    features : FeatureService or list of str
        As `resolve_features` returns them.

    Returns
    -------
    dict of column -> str
        Such as ``{"listing_id": "join key of view 'listing_deep'"}``.
    """
    views = {view.name: view for view in store.list_all_feature_views()}
    chosen: list[tuple[str, dict[str, str]]]
    if isinstance(features, list):
        names = dict.fromkeys(reference.split(":")[0].split("@")[0] for reference in features)
        chosen = [(name, {}) for name in names]
    else:
        chosen = [(p.name, p.join_key_map) for p in features.feature_view_projections]
    needed: dict[str, str] = {}
    for name, key_map in chosen:
        for column, reason in _view_needs(views[name], key_map, views):
            needed.setdefault(column, reason)
    return needed


def _view_needs(
    view: Any, key_map: dict[str, str], views: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    for column in getattr(view, "entity_columns", ()):
        if column.name != "__dummy_id":
            yield key_map.get(column.name, column.name), f"join key of view {view.name!r}"
    for projection in getattr(view, "source_feature_view_projections", {}).values():
        yield from _view_needs(views[projection.name], projection.join_key_map, views)
    for source in getattr(view, "source_request_sources", {}).values():
        for field in source.schema:
            yield field.name, f"request data of view {view.name!r}"


def _series(column: pa.ChunkedArray, of: ServiceColumn, index: Any) -> pd.Series:
    """Turn a feature into pandas; whole numbers stay whole."""
    import pandas as pd

    if pa.types.is_floating(column.type) and _declared_whole(of.dtype):
        column = _whole(column)
    if column.null_count and pa.types.is_integer(column.type):
        values = column.to_pandas(types_mapper={column.type: pd.Int64Dtype()}.get)
        values = values.astype("Int64")
    elif column.null_count and pa.types.is_boolean(column.type):
        values = column.to_pandas(types_mapper={column.type: pd.BooleanDtype()}.get)
    else:
        values = column.to_pandas()
    return pd.Series(values.array, index=index, name=of.name)


def _declared_whole(dtype: Any) -> bool:
    from feast.types import Int32, Int64

    return dtype in (Int32, Int64)


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Undo what a store did to whole numbers beside missing ones, if they are still whole."""
    import pyarrow.compute as pc

    column = pc.if_else(pc.is_nan(column), None, column)
    try:
        return pc.cast(column, pa.int64())
    except pa.ArrowInvalid:
        return column


def _numbers(column: pa.ChunkedArray, of: ServiceColumn) -> NDArray[np.floating]:
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        raise JoinError(
            f"feature {of.reference} is a list of no declared length: a matrix cannot hold it. "
            f"Declare it: Field(name={of.feature!r}, dtype=..., vector_length=<length>)."
        )
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise JoinError(
            f"feature {of.reference} is {kind}: a matrix holds numbers. Leave it out of the "
            f"service, or use training_frame and encode it."
        )
    floats = pc.cast(
        column.cast(pa.int8()) if pa.types.is_boolean(kind) else column, pa.float64(), safe=False
    )
    return floats.to_numpy()
