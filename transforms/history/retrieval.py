"""Features for label rows from any Feast offline store: complete, and in the labels' order.

deepfeast's own store hands over the join itself, so that vectors go from the file into a
matrix. Any other store answers in its own way; what it drops or reorders is put back.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deepfeast.transforms.arrow import vectors_to_matrix
from deepfeast.transforms.columns import ServiceColumn, resolve_features, service_columns
from deepfeast.transforms.errors import ColumnNotFound, JoinError
from deepfeast.transforms.feast_api import open_store
from deepfeast.transforms.times import Ints, utc_times

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureService, FeatureStore

TIMESTAMP = "event_timestamp"
_ROW = "deepfeast_row"
_TIME_NAME = re.compile(r"(^|_)(date|time|datetime|timestamp|at)($|_)", re.I)
_told: set[str] = set()


@dataclass
class Retrieval:
    """What to ask a store for, checked.

    Parameters
    ----------
    store : FeatureStore
    keys : DataFrame of shape (n_labels, n_keys + 1)
        Join keys, request data and ``event_timestamp`` in UTC; index 0, 1, 2….
    features : FeatureService or list of str
    columns : list of ServiceColumn
    known : bool
        Leave out what was created after the label's time.
    full_names : bool
    """

    store: FeatureStore
    keys: pd.DataFrame
    features: FeatureService | list[str]
    columns: list[ServiceColumn]
    known: bool
    full_names: bool

    @classmethod
    def of(
        cls,
        store: FeatureStore | str | Path,
        labels: pd.DataFrame,
        features: Any,
        as_known_at: str | None = None,
        full_names: bool = False,
    ) -> Retrieval:
        """Check what the user gave, and say what is wrong with it."""
        if as_known_at not in (None, "created"):
            raise JoinError(f"as_known_at={as_known_at!r}: expected None or 'created'.")
        if features is None:
            raise JoinError("no features asked for: pass service='name' or features=[...].")
        store = open_store(store)
        columns = service_columns(store, features, full_feature_names=full_names)
        features = resolve_features(store, features)
        needed = label_columns(store, features)
        for name, reason in needed.items():
            if name not in labels.columns:
                raise ColumnNotFound.of(name, f"the labels ({reason})", map(str, labels.columns))
        plain = {name: _plain(labels[name]) for name in needed}
        keys = labels[[]].assign(**plain, **{TIMESTAMP: label_times(labels)}).reset_index(drop=True)
        return cls(store, keys, features, columns, as_known_at == "created", full_names)

    def gather(self, matrices: Mapping[str, NDArray[np.floating]]) -> pa.Table:
        """Fill the matrices with vectors; return the other features.

        Parameters
        ----------
        matrices : dict of name -> ndarray of shape (n_labels, dim)

        Returns
        -------
        Table of n_labels rows
            A row for each label, in order.
        """
        rest = [column.name for column in self.columns if column.name not in matrices]
        if not getattr(self.store.config.offline_store, "keeps_label_rows", False):
            found = self._ask_any_store()
        else:
            job = self._job(self.keys, self.features)
            if job.point_in_time:
                return job.point_in_time().features(matrices).select(rest)
            table, every = job.to_arrow(), np.arange(len(self.keys))
            found = {column.name: (table.column(column.name), every) for column in self.columns}
        for name, matrix in matrices.items():
            _fill(matrix, *found[name])
        return pa.table({name: _taken(*found[name]) for name in rest})

    def _job(self, keys: pd.DataFrame, features: Any) -> Any:
        return self.store.get_historical_features(
            entity_df=keys,
            features=features,
            full_feature_names=self.full_names,
            filter_by_created_timestamp=self.known,
        )

    def _ask_any_store(self) -> dict[str, tuple[pa.ChunkedArray, Ints]]:
        """Return each feature as it came, and where in it each label's value is, or -1."""
        table, rows = self._ask(self.keys, self.features)
        lost = rows < 0
        if lost.any():
            self._tell(int(lost.sum()))
        by_view: dict[str, list[ServiceColumn]] = {}
        for column in self.columns:
            by_view.setdefault(column.view, []).append(column)
        found = {}
        for view, columns in by_view.items():
            part, at = table.select([column.name for column in columns]), rows
            if lost.any() and len(by_view) > 1:
                # The row was lost for want of another view's features; this one may have some.
                part, at = self._ask_again(view, columns, part, rows)
            found.update({column.name: (part.column(column.name), at) for column in columns})
        return found

    def _ask(self, keys: pd.DataFrame, features: Any) -> tuple[pa.Table, Ints]:
        """Ask for each distinct key once: some stores drop repeated rows."""
        by = keys.groupby(list(keys.columns), dropna=False, observed=True)
        numbers, first, groups = np.unique(
            by.ngroup().to_numpy(), return_index=True, return_inverse=True
        )
        distinct = keys.iloc[first].reset_index(drop=True)
        table = self._job(distinct.assign(**{_ROW: numbers}), features).to_arrow().combine_chunks()
        rows = np.full(len(distinct), -1, np.int64)
        rows[table.column(_ROW).to_numpy()] = np.arange(len(table))
        return table, rows[groups]

    def _ask_again(
        self, view: str, columns: Sequence[ServiceColumn], part: pa.Table, rows: Ints
    ) -> tuple[pa.Table, Ints]:
        """Ask for one view's features of the lost rows, by the keys of that view alone."""
        references = [column.reference for column in columns]
        self._refuse_renamed(view, columns)
        needed = [*label_columns(self.store, references), TIMESTAMP]
        lost = np.flatnonzero(rows < 0)
        more, at = self._ask(self.keys.loc[lost, needed].reset_index(drop=True), references)
        both = pa.concat_tables(
            [part, more.select(part.column_names)], promote_options="permissive"
        )
        rows = rows.copy()
        rows[lost] = np.where(at >= 0, at + len(part), -1)
        return both.combine_chunks(), rows

    def _refuse_renamed(self, view: str, columns: Sequence[ServiceColumn]) -> None:
        mapped = not isinstance(self.features, list) and any(
            projection.name_to_use() == view and projection.join_key_map
            for projection in self.features.feature_view_projections
        )
        if mapped or columns[0].registered != view.split("@")[0]:
            raise JoinError(
                f"{self._kind} dropped label rows, and cannot be asked again for view {view!r} "
                f"alone, which the service renames. Use DeepFeastOfflineStore, which drops none."
            )

    @property
    def _kind(self) -> str:
        return type(self.store.config.offline_store).__name__.removesuffix("Config")

    def _tell(self, lost: int) -> None:
        if self._kind in _told:
            return
        _told.add(self._kind)
        warnings.warn(
            f"{self._kind} dropped {lost} of {len(self.keys)} label rows, for which it found no "
            f"features; they are kept here, with what is known of them. DeepFeastOfflineStore "
            f"drops none and is faster: in feature_store.yaml, offline_store: "
            f"{{type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}}.",
            stacklevel=5,
        )


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
        for column, reason in _needs(views[name], key_map, views):
            needed.setdefault(column, reason)
    return needed


def _needs(view: Any, key_map: dict[str, str], views: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield label columns of a view, or of the views and requests under an on-demand one."""
    from feast.feature_view import DUMMY_ENTITY_ID

    for column in getattr(view, "entity_columns", ()):
        if column.name != DUMMY_ENTITY_ID:
            yield key_map.get(column.name, column.name), f"join key of view {view.name!r}"
    for projection in getattr(view, "source_feature_view_projections", {}).values():
        yield from _needs(views[projection.name], projection.join_key_map, views)
    for source in getattr(view, "source_request_sources", {}).values():
        for request in source.schema:
            yield request.name, f"request data of view {view.name!r}"


def _plain(key: pd.Series) -> pd.Series:
    """Give categories their own type: not every store reads them."""
    categories = getattr(key.dtype, "categories", None)
    return key if categories is None else key.astype(categories.dtype)


def label_times(labels: pd.DataFrame) -> pd.Series:
    """Return the moment as of which each label row is seen.

    Parameters
    ----------
    labels : DataFrame of shape (n_rows, n_columns)
        Without ``event_timestamp``, now is meant: a static table has no times.

    Returns
    -------
    Series of shape (n_rows,)
        Times in UTC, with the index of `labels`.

    Raises
    ------
    ColumnNotFound
        If there is no ``event_timestamp``, but a column that looks like times: features as of now
        beside labels of the past would leak what came after them.
    JoinError
        If a time is missing or cannot be read.
    """
    import pandas as pd

    if TIMESTAMP not in labels.columns:
        _refuse_other_times(labels)
        return pd.Series(pd.Timestamp.now("UTC"), labels.index, name=TIMESTAMP)
    times = utc_times(labels[TIMESTAMP], TIMESTAMP)
    if times.isna().any():
        raise JoinError(
            f"{int(times.isna().sum())} label rows have no {TIMESTAMP}: nothing is known as of no "
            f"time. Drop them: labels.dropna(subset=[{TIMESTAMP!r}])."
        )
    return times


def _refuse_other_times(labels: pd.DataFrame) -> None:
    import pandas as pd

    for name in map(str, labels.columns):
        of_times = pd.api.types.is_datetime64_any_dtype(labels.dtypes.get(name))
        if of_times or _TIME_NAME.search(name) or get_close_matches(name, [TIMESTAMP]):
            raise ColumnNotFound(
                f"no column {TIMESTAMP!r} in the labels, but {name!r}, which looks like times. "
                f"Rename the column that says as of when each row is seen to {TIMESTAMP!r}. "
                f"Without any times, features are as of now; if that is meant: "
                f"labels.assign({TIMESTAMP}=pandas.Timestamp.now('UTC'))."
            )


def _fill(matrix: NDArray[np.floating], column: pa.ChunkedArray, rows: Ints) -> None:
    there = rows >= 0
    matrix[~there] = np.nan
    matrix[there] = vectors_to_matrix(column, matrix.shape[1])[rows[there]]


def _taken(column: pa.ChunkedArray, rows: Ints) -> pa.ChunkedArray:
    return column.take(pa.array(rows, mask=rows < 0))
