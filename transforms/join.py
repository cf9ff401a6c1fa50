"""The training frame: label rows with every feature beside them, as flat columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from deepfeast.transforms.arrow import as_pandas, whole_type
from deepfeast.transforms.columns import ServiceColumn
from deepfeast.transforms.errors import JoinError
from deepfeast.transforms.history.retrieval import Retrieval
from deepfeast.transforms.signatures import describe

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureService, FeatureStore


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
        Of pandas, or of polars or any library that Arrow can read, which comes back as pandas.
        Entity keys and ``event_timestamp`` (times, or text that says times; UTC unless a time
        zone is given). Without any column of times, now is meant.
    service : str or FeatureService
        A Feast feature service, e.g. ``"price_model"``.
    features : sequence of str, optional
        References ``"view:feature"``, instead of a service.
    as_known_at : {None, "created"}
        ``"created"`` also leaves out what had not been computed yet at the label's time, by the
        created timestamp: a later backfill cannot leak.
    dtype : {"float32", "float16"}
        Of the vectors' columns.
    full_feature_names : bool
        Put ``<view>__`` in front of every feature.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns + n_features)
        The rows of `labels`, same order and index, label columns untouched, then the features in
        the service's order. A vector is ``<feature>_000``…, NaN where none was known. An integer
        stays one; where one is missing the column is pandas' Int64, or UInt64.
        ``.attrs["deepfeast"]`` holds the signature.

    Raises
    ------
    ColumnNotFound
        If `labels` lacks an entity key, or has times but no ``event_timestamp``; it names those
        present.
    JoinError
        If times or keys cannot be used, or a feature is named like a label column.
    NeverEmbedded
        If a deep feature view has no embedding table yet.

    Examples
    --------
    >>> training_frame("feature_repo", labels, service="price_model")  # doctest: +SKIP
    """
    import pandas as pd

    _check_dtype(dtype)
    labels = as_pandas(labels)
    asked = Retrieval.of(store, labels, service or features, as_known_at, full_feature_names)
    _refuse_overlap(asked.columns, labels.columns)
    matrices = {
        column.name: np.empty((len(labels), column.dim), np.dtype(dtype))
        for column in asked.columns
        if column.dim is not None
    }
    others = asked.gather(matrices)
    parts: list[Any] = [labels]
    for column in asked.columns:
        if column.dim is None:
            parts.append(_series(others.column(column.name), column, labels.index))
        else:
            # One block of 384 columns; pandas keeps it as it is, without a copy.
            block = matrices[column.name]
            parts.append(pd.DataFrame(block, labels.index, pd.Index(column.columns), copy=False))
    frame: pd.DataFrame = pd.concat(parts, axis=1, copy=False)
    name = getattr(asked.features, "name", None)
    frame.attrs = {**labels.attrs, "deepfeast": describe(asked.store, asked.columns, name)}
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
    _check_dtype(dtype)
    labels = as_pandas(labels)
    asked = Retrieval.of(store, labels, service or features, as_known_at, full_feature_names)
    names = [name for column in asked.columns for name in column.columns]
    X = np.empty((len(labels), len(names)), np.dtype(dtype))
    slots, position = {}, 0
    for column in asked.columns:
        slots[column.name] = X[:, position : position + len(column.columns)]
        position += len(column.columns)
    vectors = {column.name: slots[column.name] for column in asked.columns if column.dim}
    others = asked.gather(vectors)
    for column in asked.columns:
        if column.dim is None:
            slots[column.name][:, 0] = _numbers(others.column(column.name), column)
    return X, names


def _check_dtype(dtype: str) -> None:
    if dtype not in ("float32", "float16"):
        raise JoinError(f"dtype={dtype!r}: expected 'float32' or 'float16'.")


def _refuse_overlap(columns: Sequence[ServiceColumn], labels: Any) -> None:
    taken = {name for column in columns for name in column.columns} & set(labels)
    if taken:
        raise JoinError(
            f"the labels already have columns called {', '.join(sorted(taken)[:3])}, which are "
            f"also features. Drop or rename them, or pass full_feature_names=True."
        )


def _series(column: pa.ChunkedArray, of: ServiceColumn, index: Any) -> pd.Series:
    """Turn a feature into pandas: whole numbers and truth values stay what they are."""
    import pandas as pd

    column = _restore_whole(column, of.dtype)
    if column.null_count and pa.types.is_integer(column.type):
        values = column.to_pandas(types_mapper={column.type: whole_type(column.type)}.get)
    elif column.null_count and pa.types.is_boolean(column.type):
        values = column.to_pandas(types_mapper={column.type: pd.BooleanDtype()}.get)
    else:
        values = column.to_pandas()
    return pd.Series(values.array, index=index, name=of.name)


def _restore_whole(column: pa.ChunkedArray, dtype: Any) -> pa.ChunkedArray:
    """Undo what some stores do to whole numbers beside missing ones."""
    from feast.types import Int32, Int64

    if dtype not in (Int32, Int64) or not pa.types.is_floating(column.type):
        return column
    column = pc.if_else(pc.is_nan(column), None, column)
    try:
        return pc.cast(column, pa.int64())
    except pa.ArrowInvalid:  # declared whole, but it is not
        return column


def _numbers(column: pa.ChunkedArray, of: ServiceColumn) -> NDArray[np.floating]:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        raise JoinError(
            f"feature {of.reference} is a list of no declared length: a matrix cannot hold it. "
            f"Declare it: Field(name={of.feature!r}, dtype=..., vector_length=<length>)."
        )
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise JoinError(
            f"feature {of.reference} is {kind}: a matrix holds numbers. Leave it out of the "
            f"service, or use training_frame and encode it."
        )
    return pc.cast(column, pa.float64(), safe=False).to_numpy()
