"""Filters on handcrafted columns, in the words of SQL, as of the time of the search."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.errors import SearchError
from deepfeast.transforms.features import deep_spec
from deepfeast.transforms.files.columns import join_keys
from deepfeast.transforms.history.sources import Histories
from deepfeast.transforms.history.views import PointInTimeJoin
from deepfeast.transforms.warehouse.ask import Labels

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView
    from numpy.typing import NDArray

# No file is read, whatever the filter says.
CONFIG: dict[str, Any] = {"enable_external_access": "false", "threads": 2}
TIME = "event_timestamp"


def matching(
    store: FeatureStore, view: FeatureView, asked: pa.Table, where: str
) -> tuple[NDArray[np.bool_], pa.Table]:
    """Tell which keys a filter lets through.

    How old a handcrafted value is plays no part.

    Parameters
    ----------
    store : FeatureStore
    view : FeatureView
        The deep view that is searched.
    asked : Table of n_keys rows
        Its join keys, and ``event_timestamp``: as of when.
    where : str
        A condition of SQL over the join keys and over the features of the views that have no
        other keys: ``"price < 100 AND city = 'Oslo'"``. A name that two views have is written
        ``view__feature``.

    Returns
    -------
    passed : ndarray of bool of shape (n_keys,)
        False, too, where the condition is null.
    values : Table of n_keys rows
        The features that the filter names.

    Raises
    ------
    SearchError
        If it is no such condition.
    """
    import duckdb

    words = set(re.findall(r"\w+", where))
    known = handcrafted_names(store, view)
    values = handcrafted(store, {name: one for name, one in known.items() if name in words}, asked)
    rows = pa.table({**_columns(asked.drop([TIME])), **values})
    numbered = rows.append_column("number of the row", pa.array(np.arange(len(rows))))
    with duckdb.connect(config=CONFIG) as connection:
        connection.register("candidates", numbered)
        try:
            found_rows = connection.sql(
                f'SELECT "number of the row" FROM candidates WHERE ({where})'
            ).to_arrow_table()
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise SearchError(
                f"the filter {where!r} is no condition over the columns here: {first} Known are: "
                f"{', '.join([*join_keys(view), *known])}."
            ) from None
    passed = np.zeros(len(rows), bool)
    passed[found_rows.column(0).to_numpy()] = True
    return passed, pa.table(values) if values else rows.select([])


def handcrafted(
    store: FeatureStore, wanted: Mapping[str, tuple[FeatureView, str]], asked: pa.Table
) -> dict[str, pa.ChunkedArray]:
    """Return handcrafted columns as of the times that are asked for, however old they are.

    Parameters
    ----------
    store : FeatureStore
    wanted : mapping of str to (FeatureView, str)
        Some of `handcrafted_names`.
    asked : Table of n_keys rows
        Join keys, and ``event_timestamp``.
    """
    values: dict[str, pa.ChunkedArray] = {}
    histories = Histories(store.config, store.registry, store.project)
    for found, features in _by_view(wanted):
        names = [feature for feature, _ in features]
        history = histories.of(found, names, Labels(asked, TIME))
        columns = {name: history.features[feature] for feature, name in features}
        history = dataclasses.replace(history, ttl=None, features=columns)
        values |= _columns(PointInTimeJoin(asked, TIME, [history]).features())
    return values


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _by_view(
    wanted: Mapping[str, tuple[FeatureView, str]],
) -> list[tuple[FeatureView, list[tuple[str, str]]]]:
    """Group names by view: with each the feature that it stands for, and the name itself."""
    views = {view.name: view for view, _ in wanted.values()}
    return [
        (view, [(feature, name) for name, (of, feature) in wanted.items() if of.name == view.name])
        for view in views.values()
    ]


def handcrafted_names(store: FeatureStore, view: FeatureView) -> dict[str, tuple[FeatureView, str]]:
    """Return the handcrafted columns of a deep view's entities: each one's view and name there."""
    keys = set(join_keys(view))
    plain = [
        other
        for other in store.list_feature_views()
        if deep_spec(other) is None and set(join_keys(other)) <= keys
    ]
    all_names = [field.name for other in plain for field in other.features]
    names = {}
    for other in plain:
        for one in other.features:
            twice = all_names.count(one.name) > 1 or one.name in keys
            names[f"{other.name}__{one.name}" if twice else one.name] = (other, one.name)
    return names
