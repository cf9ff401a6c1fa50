"""What a warehouse computes itself: label rows from SQL, and joins too large to move."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.errors import JoinError
from deepfeast.transforms.files.columns import SourceColumns
from deepfeast.transforms.files.table import FeatureTable, open_table
from deepfeast.transforms.times import Ints
from deepfeast.transforms.warehouse import postgres, spark
from deepfeast.transforms.warehouse.pull import ask_feast, write_rows

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureView
    from feast.infra.registry.base_registry import BaseRegistry

    from deepfeast.transforms.warehouse.open import Warehouse

ROW, TIME, NOW = "deepfeast_row", "event_timestamp", "deepfeast_now"
_FIRST = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST = datetime(9999, 1, 1, tzinfo=timezone.utc)


def query_rows(warehouse: Warehouse, sql: str, like: Any) -> pd.DataFrame:
    """Run a query and return its rows, in its order.

    Parameters
    ----------
    sql : str
        A SELECT.
    like : DataSource
        Any source of the warehouse: a source of its class reads the query.

    Raises
    ------
    SourceError
        If the warehouse refuses it.
    JoinError
        If sources of its class read no queries.
    """
    inner = sql.strip().rstrip(";")
    if spark.reads(warehouse.store, like):
        with postgres.reaching(warehouse, "the query given as entity_df"):
            return spark.query(warehouse.config.offline_store, inner).to_pandas()
    # Feast asks for a span of time. The time of the query lies in any, so that no row is lost.
    timed = f"SELECT entity_rows.*, CURRENT_TIMESTAMP AS {NOW} FROM ({inner}) AS entity_rows"
    named = query_source(like, timed, NOW)
    with postgres.reaching(warehouse, "the query given as entity_df"):
        columns = named.get_table_column_names_and_types(warehouse.config)
        names = [name for name, _ in columns if name != NOW]
        how, columns = warehouse.store.pull_all_from_table_or_query, ((), names, (NOW, None))
        table = ask_feast(warehouse, how, named, columns, _FIRST, _LAST).to_arrow()
    return table.select(names).to_pandas()


def query_source(like: Any, query: str, time: str) -> Any:
    """Declare a source of the same class that reads a query.

    Raises
    ------
    JoinError
        If there is none: Feast's sources of SQL Server and Oracle read tables alone.
    """
    try:
        return type(like)(name="entity_df", query=query, timestamp_field=time)
    except TypeError:
        raise JoinError(
            f"entity_df is a SQL query, and Feast's {type(like).__name__} reads tables alone. Pass "
            f"a DataFrame with the entity keys and event_timestamp."
        ) from None


@dataclass(frozen=True)
class Labels:
    """Label rows as a warehouse takes them.

    Attributes
    ----------
    table : Table of n_labels rows
    timestamp : str
        Its column of times, in UTC.
    known : bool
        Leave out what was created after the label's time.
    """

    table: pa.Table
    timestamp: str
    known: bool = False

    def numbered(self, keys: Sequence[str]) -> pd.DataFrame:
        """Return keys, time and number of the rows that have all of them: no others can match."""
        columns = [*(self.table.column(key) for key in keys), self.table.column(self.timestamp)]
        frame = pa.table(dict(zip([*keys, TIME], columns, strict=True))).to_pandas()
        return frame.assign(**{ROW: np.arange(len(frame))}).dropna().reset_index(drop=True)


def join_there(
    warehouse: Warehouse,
    view: FeatureView,
    features: Mapping[str, pa.DataType],
    keys: Sequence[str],
    labels: Labels,
    registry: BaseRegistry,
    project: str,
) -> tuple[FeatureTable, Ints]:
    """Let the warehouse's own store join a view to label rows.

    Parameters
    ----------
    features : mapping of str to DataType
        Of the view, and what they are declared as.
    keys : sequence of str
        The labels' columns of join keys.

    Returns
    -------
    table : FeatureTable
        A column for each feature.
    rows : ndarray of int64 of shape (n_labels,)
        The row of each label in the table; -1 where there is none.

    Raises
    ------
    SourceError
        If the warehouse does not answer, or may not write the label rows down.
    JoinError
        If it cannot leave out what was created later.
    """
    if labels.known and not warehouse.store.supports_filter_by_created_timestamp:
        raise JoinError(
            f"view {view.name!r}: Feast's store of type {warehouse.kind!r} cannot leave out what "
            f"was created later. Raise offline_store.pull_rows above its rows."
        )
    folder = tempfile.TemporaryDirectory(prefix="deepfeast-joined-")
    path = Path(folder.name) / "rows.parquet"
    what = f"view {view.name!r}, source {_source_name(view)!r}"
    frame = labels.numbered(keys)
    if postgres.speaks(warehouse):
        _refuse(warehouse, view, keys, features, what)
        # A text of PostgreSQL has no NUL, so that such a key is nobody's.
        nul = [
            frame[key].map(lambda value: isinstance(value, str) and "\0" in value) for key in keys
        ]
        frame = frame[~np.logical_or.reduce(nul)] if nul else frame
    if len(frame):
        with postgres.reaching(warehouse, what):
            if spark.reads(warehouse.store, view.batch_source):
                found = _joined_in_spark(warehouse, view, list(features), keys, frame, labels.known)
            else:
                found = _joined(
                    warehouse, view, list(features), frame, labels.known, registry, project
                )
    else:  # which Feast's store cannot write down
        found = pa.schema([(ROW, pa.int64()), *features.items()]).empty_table()
    numbers = np.asarray(found.column(ROW).combine_chunks(), np.int64)
    _, first = np.unique(numbers, return_index=True)  # Feast's store repeats rows of equal times
    found, numbers = found.take(pa.array(first)), numbers[first]
    write_rows(found.select(list(features)).to_batches(), path, features, what, features)
    table = open_table(str(path), name=f"source {_source_name(view)!r}")
    table.kept = folder
    rows = np.full(len(labels.table), -1, np.int64)
    rows[numbers] = np.arange(len(numbers))
    return table, rows


def _joined(
    warehouse: Warehouse,
    view: FeatureView,
    features: Sequence[str],
    frame: pd.DataFrame,
    known: bool,
    registry: BaseRegistry,
    project: str,
) -> pa.Table:
    extra: dict[str, Any] = {"filter_by_created_timestamp": True} if known else {}
    job = warehouse.store.get_historical_features(
        config=warehouse.config,
        feature_views=[view],
        feature_refs=[f"{view.projection.name_to_use()}:{name}" for name in features],
        entity_df=frame,
        registry=registry,
        project=project,
        full_feature_names=False,
        **extra,
    )
    return job.to_arrow().select([ROW, *features])


def _joined_in_spark(
    warehouse: Warehouse,
    view: FeatureView,
    features: Sequence[str],
    keys: Sequence[str],
    frame: pd.DataFrame,
    known: bool,
) -> pa.Table:
    columns = SourceColumns.of(view, features=features)
    table = spark.join(
        warehouse.config.offline_store,
        view.batch_source,
        pa.Table.from_pandas(frame[[ROW, TIME, *keys]], preserve_index=False),
        list(columns.keys.values()),
        list(columns.features.values()),
        columns.times,
        view.ttl,
        known,
    )
    return table.rename_columns([ROW, *features])


def _has_nul(value: Any) -> bool:
    return isinstance(value, str) and "\0" in value


def _refuse(
    warehouse: Warehouse,
    view: FeatureView,
    keys: Sequence[str],
    features: Iterable[str],
    what: str,
) -> None:
    """Refuse what the query of Feast's store for PostgreSQL cannot write, or would get wrong."""
    columns = SourceColumns.of(view, features=features)
    mend = "Raise offline_store.pull_rows above its rows, or name a query as the source that"
    for name in (*columns.all, *keys):
        if '"' in name:
            raise JoinError(
                f"{what}: Feast's own query, which joins in the warehouse, cannot write the "
                f"column {name!r}. {mend} calls it otherwise."
            )
    with postgres.reaching(warehouse, what):
        bare = postgres.bare_times(warehouse, view.batch_source, columns.times)
    if bare:
        raise JoinError(
            f"{what}: the time column {bare[0]!r} has no zone and means UTC; Feast's own query, "
            f"which joins in the warehouse, would take it for the server's zone, which is another. "
            f"{mend} has {bare[0]} AT TIME ZONE 'UTC'."
        )


def _source_name(view: FeatureView) -> str:
    return str(view.batch_source.name) if view.batch_source else ""
