"""Filters on handcrafted columns, in the words of SQL, as of the time of the search."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.errors import SearchError
from deepfeast.transforms.files.columns import join_keys
from deepfeast.transforms.history.beside import TIME, handcrafted, handcrafted_names

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView
    from numpy.typing import NDArray

# No file is read, whatever the filter says.
CONFIG: dict[str, Any] = {"enable_external_access": "false", "threads": 2}


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
    names = [name for name in asked.column_names if name != TIME]
    rows = pa.table({**{name: asked.column(name) for name in names}, **values})
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
