"""Which rows of an embedding table belong together, when ``feast monitor`` tests for drift."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deepfeast.transforms.errors import ColumnNotFound, DriftError
from deepfeast.transforms.features import GROUPS_TAG, deep_spec
from deepfeast.transforms.files.columns import SourceColumns
from deepfeast.transforms.history.beside import TIME, column_beside

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore, FeatureView, RepoConfig

    from deepfeast.transforms.times import Ints

Grouping = Callable[["pa.Table"], "Ints"]


def declared_groups(config: RepoConfig, source: Any) -> Grouping | None:
    """Return what gives rows of an embedding table their groups, if its view declares any.

    Parameters
    ----------
    config : RepoConfig
    source : FileSource
        The embedding table of a deep view.

    Returns
    -------
    callable or None
        From a table of join keys and event time, named as in the embedding table, to the groups
        of its rows, as `numbered` numbers them.

    Raises
    ------
    DriftError
        By the callable, if there is no such column.
    """
    from feast import FeatureStore

    store = FeatureStore(repo_path=str(config.repo_path), config=config)
    for view in store.list_feature_views():
        if not deep_spec(view) or GROUPS_TAG not in view.tags:
            continue
        if getattr(view.batch_source, "name", None) == source.name:
            return functools.partial(groups_of, store, view)
    return None


def groups_of(store: FeatureStore, view: FeatureView, rows: pa.Table) -> Ints:
    """Return the groups of rows of an embedding table by the column that its view declares.

    Parameters
    ----------
    rows : Table of n_rows rows
        Join keys and event time, named as in the embedding table.

    Raises
    ------
    DriftError
        If there is no such column.
    """
    spec, named, columns = deep_spec(view), view.tags[GROUPS_TAG], SourceColumns.of(view)
    assert spec is not None
    asked = rows.select([*columns.keys.values(), columns.time])
    asked = asked.rename_columns([*columns.keys, TIME])
    try:
        return numbered(column_beside(store, view, spec, asked, named))[0]
    except ColumnNotFound as error:
        raise DriftError(f"groups={named!r} of view {view.name!r}: {error}") from None


def numbered(values: pd.Series) -> tuple[Ints, int]:
    """Give groups numbers from 0 on; a row that has none is a group of its own.

    Returns
    -------
    groups : ndarray of int64 of shape (n_rows,)
    unknown : int
        How many rows have none.

    Examples
    --------
    >>> numbered(pd.Series(["ann", None, "bob", "ann"]))
    (array([0, 2, 1, 0]), 1)
    """
    groups = pd.factorize(values)[0].astype(np.int64)
    unknown = groups < 0
    groups[unknown] = groups.max(initial=-1) + 1 + np.arange(unknown.sum())
    return groups, int(unknown.sum())
