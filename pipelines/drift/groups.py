"""Which rows belong together: by the entity, or by a column, wherever it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from deepfeast.pipelines.lift.ask.contents import raw_column
from deepfeast.pipelines.lift.ask.groups import beside, file_groups
from deepfeast.pipelines.search.where import TIME, handcrafted, handcrafted_names
from deepfeast.transforms.errors import ColumnNotFound, DriftError, LiftError

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore, FeatureView

    from deepfeast.transforms.features import DeepViewSpec
    from deepfeast.transforms.times import Ints


def find_groups(
    store: FeatureStore,
    view: FeatureView,
    spec: DeepViewSpec,
    keys: pa.Table,
    named: str | None,
    labels: pd.DataFrame | None = None,
) -> tuple[Ints, str, list[str]]:
    """Give the groups of rows numbers.

    Parameters
    ----------
    keys : Table of n_rows rows
        Join keys, and ``event_timestamp``.
    named : str, optional
        A join key; a column of `labels`, of the raw source, or of a handcrafted view of these
        entities, each as of the row's time; or the path of a Parquet or CSV file that has the join
        keys and one column more, such as ``deepfeast duplicates --out`` writes. By default rows
        of one entity belong together.
    labels : DataFrame, optional

    Returns
    -------
    groups : ndarray of int64 of shape (n_rows,)
        From 0 on. A row whose group is not known is a group of its own.
    told : str
        What groups rows, in words.
    notes : list of str

    Raises
    ------
    DriftError
        If there is no such column, or only one group.
    """
    frame = keys.to_pandas()
    names = [name for name in frame.columns if name != TIME]
    notes = []
    if named is None:
        values = frame.groupby(names, dropna=False, sort=False).ngroup()
        told = f"rows of one {', '.join(names)}"
        notes.append(
            f"no --groups: {told} count as alike, and all others as independent. If rows of one "
            f"seller or batch are alike, name its column, or unchanged windows will raise alarms"
        )
    else:
        values = _values(store, view, spec, keys, frame, named, labels)
        told = f"rows of one {named}"
    codes = pd.factorize(values)[0].astype(np.int64)
    unknown = codes < 0
    if unknown.all():
        raise DriftError(f"no row of the windows has a {named}: name another column of groups.")
    if unknown.any():
        notes.append(f"{unknown.sum():,} rows have no {named}: each counts as a group of its own")
        codes[unknown] = codes.max() + 1 + np.arange(unknown.sum())
    if codes.max() == 0:
        raise DriftError(
            f"all {len(codes):,} rows of the windows are one group ({told}): of one group nobody "
            f"can say what is luck. Name a column of smaller groups with --groups."
        )
    return codes, told, notes


def _values(
    store: FeatureStore,
    view: FeatureView,
    spec: DeepViewSpec,
    keys: pa.Table,
    frame: pd.DataFrame,
    named: str,
    labels: pd.DataFrame | None,
) -> pd.Series:
    names = [name for name in frame.columns if name != TIME]
    if named in names:
        return frame[named]
    if named.endswith((".parquet", ".csv")):
        try:
            return file_groups(Path(named), frame, names)
        except LiftError as error:
            raise DriftError(str(error)) from None
    if labels is not None and named in labels.columns and set(names) <= set(labels.columns):
        return beside(frame, names, labels, named)
    known = handcrafted_names(store, view)
    if named in known:
        return handcrafted(store, {named: known[named]}, keys)[named].to_pandas()
    try:
        return raw_column(store, view, spec, named, frame)[0].to_pandas()
    except ColumnNotFound as error:
        there = [*names, *known, *([] if labels is None else labels.columns)]
        raise DriftError(
            f"nothing called {named!r} to group by. There are: {', '.join(map(str, there))}; and "
            f"in the raw source, {error}"
        ) from None
