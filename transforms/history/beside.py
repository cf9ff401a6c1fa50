"""A column of the repo beside rows of a deep view, as of each row's time.

It may be a column of the raw source, or a handcrafted one of a view of the same entities.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.embeddings.tombstones import blank, read_tombstones
from deepfeast.transforms.errors import ColumnNotFound
from deepfeast.transforms.features import DeepViewSpec, deep_spec
from deepfeast.transforms.files.columns import SourceColumns, in_source, join_keys
from deepfeast.transforms.files.csv import raw_types
from deepfeast.transforms.files.place import file_source, source_uri
from deepfeast.transforms.files.source import open_source
from deepfeast.transforms.history.sources import Histories, asked_of, seen
from deepfeast.transforms.history.views import PointInTimeJoin, ViewHistory
from deepfeast.transforms.warehouse.ask import Labels
from deepfeast.transforms.warehouse.open import elsewhere, lies_in_files, photo_root
from deepfeast.transforms.warehouse.pull import pull_table

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore, FeatureView

TIME = "event_timestamp"
# What a raw column is called beside the keys, whatever they are called.
RAW = "raw value"


def column_beside(
    store: FeatureStore, view: FeatureView, spec: DeepViewSpec, asked: pa.Table, name: str
) -> pd.Series:
    """Return a column by name: a join key, a handcrafted column, or one of the raw source.

    Parameters
    ----------
    asked : Table of n_rows rows
        Join keys, and ``event_timestamp``.

    Returns
    -------
    Series of length n_rows
        Missing where nothing was known then.

    Raises
    ------
    ColumnNotFound
        If there is no such column; it names those that there are.
    """
    if name in asked.column_names and name != TIME:
        return asked.column(name).to_pandas()
    known = handcrafted_names(store, view)
    if name in known:
        return handcrafted(store, {name: known[name]}, asked)[name].to_pandas()
    try:
        return raw_column(store, view, spec, name, asked.to_pandas())[0].to_pandas()
    except ColumnNotFound as error:
        there = [*(one for one in asked.column_names if one != TIME), *known]
        raise ColumnNotFound(
            f"nothing called {name!r} to group by. There are: {', '.join(there)}; and in the raw "
            f"source, {error}"
        ) from None


def raw_column(
    store: FeatureStore, view: Any, spec: DeepViewSpec, name: str, labels: pd.DataFrame
) -> tuple[pa.ChunkedArray, str]:
    """Read a column of a deep view's raw source as of each label's time.

    Returns
    -------
    column : ChunkedArray of length n_rows
        Null where there was nothing then, or the key is forgotten.
    root : str
        What paths of photos in it are relative to.
    """
    config, source = store.config, store.get_data_source(spec.source)
    columns = SourceColumns.of(view, source, [name])
    asked = pa.Table.from_pandas(
        _with_utc(labels[[*columns.keys, "event_timestamp"]]), preserve_index=False
    )
    types = raw_types(view, [name] if lies_in_files(source) else [])
    declared = {in_source(source, one): type_ for one, type_ in types.items()}
    if warehouse := elsewhere(config, source):
        span = seen(Labels(asked, "event_timestamp"), view.ttl)
        table = pull_table(warehouse, asked_of(source, columns, span), declared, view.name)
    else:
        table = open_source(config, file_source(source), types=declared)
    history = ViewHistory(
        view=view.name,
        table=table,
        join_keys=columns.keys,
        timestamp=columns.time,
        created=columns.created or None,
        features={RAW: columns.features[name]},
        ttl=view.ttl,
    )
    column = PointInTimeJoin(asked, "event_timestamp", [history]).features().column(RAW)
    forgotten = read_tombstones(source_uri(config, file_source(view.batch_source)))
    if forgotten:
        column = blank(column, forgotten.matches(asked))
    return column, photo_root(config, source)


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


def _by_view(
    wanted: Mapping[str, tuple[FeatureView, str]],
) -> list[tuple[FeatureView, list[tuple[str, str]]]]:
    """Group names by view: with each the feature that it stands for, and the name itself."""
    views = {view.name: view for view, _ in wanted.values()}
    return [
        (view, [(feature, name) for name, (of, feature) in wanted.items() if of.name == view.name])
        for view in views.values()
    ]


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _with_utc(labels: pd.DataFrame) -> pd.DataFrame:
    from deepfeast.transforms.times import utc_times

    return labels.assign(event_timestamp=utc_times(labels["event_timestamp"], "event_timestamp"))
