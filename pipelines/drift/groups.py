"""Which rows belong together: by the entity, or by a column, wherever it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deepfeast.pipelines.lift.ask.groups import beside, file_groups
from deepfeast.transforms.errors import ColumnNotFound, DriftError, LiftError
from deepfeast.transforms.features import GROUPS_TAG
from deepfeast.transforms.history.beside import TIME, column_beside
from deepfeast.transforms.monitoring.groups import numbered

if TYPE_CHECKING:
    import pandas as pd
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
        keys and one column more, such as ``deepfeast duplicates --out`` writes. By default what
        the view declares; where it declares nothing, rows of one entity belong together.
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
    named = named or view.tags.get(GROUPS_TAG)
    if named is None:
        values = frame.groupby(names, dropna=False, sort=False).ngroup()
        told = f"rows of one {', '.join(names)}"
        notes.append(
            f"no --groups, and the view declares none: {told} count as alike, and all others as "
            f"independent. If rows of one seller or batch are alike, name its column, or unchanged "
            f"windows will raise alarms"
        )
    else:
        values = _values(store, view, spec, keys, frame, named, labels)
        told = f"rows of one {named}"
    codes, unknown = numbered(values)
    if unknown == len(codes):
        raise DriftError(f"no row of the windows has a {named}: name another column of groups.")
    if unknown:
        notes.append(f"{unknown:,} rows have no {named}: each counts as a group of its own")
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
    if named.endswith((".parquet", ".csv")):
        try:
            return file_groups(Path(named), frame, names)
        except LiftError as error:
            raise DriftError(str(error)) from None
    theirs = [] if labels is None or not set(names) <= set(labels.columns) else labels.columns
    if named in theirs and named not in names:
        return beside(frame, names, labels, named)
    try:
        return column_beside(store, view, spec, keys, named)
    except ColumnNotFound as error:
        more = f" The labels have: {', '.join(map(str, theirs))}." if len(theirs) else ""
        raise DriftError(f"{error}{more}") from None
