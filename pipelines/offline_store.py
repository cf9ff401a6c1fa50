"""The Feast offline store: complete, ordered, point-in-time exact joins over files.

One line of ``feature_store.yaml`` switches it on::

    offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}

Feast finds ``DeepFeastOfflineStoreConfig`` by its name, beside the store.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import pyarrow as pa
from feast import FeatureView, FileSource, OnDemandFeatureView, RepoConfig
from feast.data_source import DataSource, KafkaSource, PushSource, RequestSource
from feast.feature_logging import LoggingConfig, LoggingSource
from feast.infra.offline_stores.file_source import FileLoggingDestination
from feast.infra.offline_stores.offline_store import (
    OfflineStore,
    RetrievalJob,
    RetrievalMetadata,
)
from feast.infra.offline_stores.offline_utils import (
    infer_event_timestamp_from_entity_df,
)
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel
from feast.utils import compute_non_entity_date_range
from pydantic import Field, field_validator

from deepfeast.pipelines.monitoring import MonitoredStore
from deepfeast.pipelines.retrieval_job import DeepFeastRetrievalJob, OneEntity, Result
from deepfeast.transforms.errors import ColumnNotFound, JoinError, SourceNotFound, SpecError
from deepfeast.transforms.feast_api import requested_features
from deepfeast.transforms.files.columns import in_source
from deepfeast.transforms.files.csv import is_csv
from deepfeast.transforms.files.place import file_source, locate
from deepfeast.transforms.files.source import column_names, open_source
from deepfeast.transforms.files.table import FeatureTable
from deepfeast.transforms.files.write_source import write_source
from deepfeast.transforms.history.latest import Span, latest_rows, rows_between
from deepfeast.transforms.history.sources import Histories
from deepfeast.transforms.history.views import PointInTimeJoin, StoredRows
from deepfeast.transforms.times import utc_times
from deepfeast.transforms.warehouse import spark
from deepfeast.transforms.warehouse.ask import Labels, query_rows
from deepfeast.transforms.warehouse.open import elsewhere, open_warehouse, settings, warehouse_of
from deepfeast.transforms.warehouse.postgres import reaching
from deepfeast.transforms.warehouse.pull import ask_feast

STORE = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"


class DeepFeastOfflineStoreConfig(FeastConfigBaseModel):
    """What may stand under ``offline_store:`` in ``feature_store.yaml``."""

    keeps_label_rows: ClassVar[bool] = True
    """Says to the training frame that every label row comes back, once and in its order."""

    type: str = STORE
    """Dotted path of the store."""

    threads: int | None = None
    """How many row groups are read at once; all cores by default."""

    memory_limit: str = "4GB"
    """How much of a result `persist` and `to_remote_storage` hold at once, about."""

    staging_location: str | None = None
    """Folder or URI for `to_remote_storage`."""

    warehouse: dict[str, Any] | None = Field(default=None, repr=False)
    """The block of Feast's own store for the sources that are no files."""

    pull_rows: int = 10_000_000
    """Rows of a view that come out of the warehouse for a join, at most; beyond, it joins them."""

    overlap: timedelta = timedelta(hours=1)
    """How far an incremental read of raw rows goes back, for what was committed late."""

    @field_validator("warehouse")
    @classmethod
    def _as_feast_reads_it(cls, block: dict[str, Any] | None) -> dict[str, Any] | None:
        if block is not None:
            settings(block)
        return block

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Feast hands this configuration to sources of the warehouse when it infers what an
            # on-demand view reads: they look for their own settings in it.
            block = self.__dict__.get("warehouse")
            if name.startswith("_") or block is None:
                return super().__getattr__(name)
            return getattr(settings(block), name)


class DeepFeastOfflineStore(MonitoredStore, OfflineStore):
    """Every label row once, in its order, with what was known as of its time.

    Reads Parquet and Delta ``FileSource``, see ``docs/offline_store.md``; and, through Feast's own
    store for it, a warehouse, see ``docs/warehouse.md``.
    """

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        **kwargs: Any,
    ) -> RetrievalJob:
        """Join features to entity rows; without, to all entities and event times of a range."""
        warehouse = open_warehouse(config)
        if isinstance(entity_df, str) and warehouse:
            like = _any_source(feature_views, registry, project)
            entity_df = query_rows(warehouse, entity_df, like)
        elif spark.is_frame(entity_df):
            entity_df = entity_df.toArrow().to_pandas()
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        by_view = requested_features(feature_refs, feature_views)
        histories = Histories(config, registry, project, full_feature_names)
        if entity_df is None:
            span = compute_non_entity_date_range(feature_views, start_date, end_date)
            entity_df = histories.entities_between(list(by_view), *span)
        labels, timestamp = entity_rows(entity_df)

        def find() -> PointInTimeJoin:
            asked = Labels(labels, timestamp, filter_by_created_timestamp)
            found = [histories.of(view, names, asked) for view, names in by_view.items()]
            return PointInTimeJoin(labels, timestamp, found, filter_by_created_timestamp)

        times = labels.column(timestamp).to_pandas()
        return DeepFeastRetrievalJob(
            find,
            config,
            full_feature_names=full_feature_names,
            on_demand_feature_views=on_demand,
            metadata=RetrievalMetadata(
                features=feature_refs,
                keys=[name for name in labels.column_names if name != timestamp],
                min_event_timestamp=times.min().to_pydatetime() if len(times) else None,
                max_event_timestamp=times.max().to_pydatetime() if len(times) else None,
            ),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Return each entity's latest row whose event time lies in the range, ends included."""
        if warehouse := elsewhere(config, data_source):
            how = warehouse.store.pull_latest_from_table_or_query
            times = (timestamp_field, created_timestamp_column)
            columns = (join_key_columns, feature_name_columns, times)
            return ask_feast(warehouse, how, data_source, columns, start_date, end_date, zones=True)

        def find() -> Result:
            table, columns = _open_columns(
                config,
                data_source,
                [*join_key_columns, *feature_name_columns],
                [timestamp_field, created_timestamp_column],
            )
            rows = latest_rows(
                table,
                join_key_columns,
                timestamp_field,
                created_timestamp_column or None,
                Span(start_date, end_date),
            )
            found = StoredRows(table, rows, columns)
            return found if join_key_columns else OneEntity(found)

        return DeepFeastRetrievalJob(find, config)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Return every row whose event time lies in the range, ends included."""
        if warehouse := elsewhere(config, data_source):
            how = warehouse.store.pull_all_from_table_or_query
            times = (timestamp_field, created_timestamp_column)
            columns = (join_key_columns, feature_name_columns, times)
            return ask_feast(warehouse, how, data_source, columns, start_date, end_date, zones=True)

        def find() -> Result:
            table, columns = _open_columns(
                config,
                data_source,
                [*join_key_columns, *feature_name_columns],
                [timestamp_field, created_timestamp_column],
            )
            rows = rows_between(table, timestamp_field, Span(start_date, end_date))
            found = StoredRows(table, rows, columns)
            return found if join_key_columns else OneEntity(found)

        return DeepFeastRetrievalJob(find, config)

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:
        """Check, on ``feast apply``, that a table has its time columns.

        What is not there yet may still be embedded, and passes.
        """
        if warehouse := elsewhere(config, data_source):
            with reaching(warehouse, f"source {data_source.name!r}"):
                warehouse.store.validate_data_source(warehouse.config, data_source)
            return
        source = file_source(data_source)
        times = (source.timestamp_field, source.created_timestamp_column)
        with contextlib.suppress(SourceNotFound):
            names = column_names(config, source)
            for column in (in_source(source, name) for name in times if name):
                if column not in names:
                    raise ColumnNotFound.of(column, f"source {source.name!r}", names)

    def get_table_column_names_and_types_from_data_source(
        self, config: RepoConfig, data_source: DataSource
    ) -> Iterable[tuple[str, str]]:
        """Read the schema of a source; Feast looks for Delta from where the process stands."""
        if warehouse := elsewhere(config, data_source):
            with reaching(warehouse, f"source {data_source.name!r}"):
                return warehouse.store.get_table_column_names_and_types_from_data_source(
                    warehouse.config, data_source
                )
        source = file_source(data_source)
        if is_csv(source.path):
            raise SpecError(
                f"the source {source.name!r} is a CSV, which says no types: give the views that "
                f"read it a schema of their keys and features, such as "
                f"FeatureView(..., schema=[Field(name='id', dtype=String), ...])."
            )
        schema = open_source(config, source).schema
        return [(column.name, str(column.type)) for column in schema]

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeatureView,
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Append rows to the source of a feature view."""
        if warehouse := elsewhere(config, feature_view.batch_source):
            write = warehouse.store.offline_write_batch
            try:
                with reaching(warehouse, f"view {feature_view.name!r}"):
                    write(warehouse.config, feature_view, table, progress)
            except NotImplementedError:
                raise SpecError(
                    f"view {feature_view.name!r}: Feast's store of type {warehouse.kind!r} writes "
                    f"no rows. Insert them in the warehouse itself; the next read has them."
                ) from None
            return
        source = file_source(feature_view.batch_source)
        names = open_source(config, source, feature_view).schema.names
        if table.column_names != names:
            raise ValueError(
                f"the table for view {feature_view.name!r} has columns "
                f"{', '.join(table.column_names)}; its source has, in this order, "
                f"{', '.join(names)}."
            )
        write_source(config, source, [table], append=True)
        if progress:
            progress(table.num_rows)

    @staticmethod
    def write_logged_features(
        config: RepoConfig,
        data: pa.Table | Path,
        source: LoggingSource,
        logging_config: LoggingConfig,
        registry: BaseRegistry,
    ) -> None:
        """Add logged features to their destination, as further Parquet files."""
        import pyarrow.dataset as ds

        destination = logging_config.destination
        if not isinstance(destination, FileLoggingDestination):
            warehouse = warehouse_of(config, destination.to_data_source())
            warehouse.store.write_logged_features(
                warehouse.config, data, source, logging_config, registry
            )
            return
        filesystem, path = locate(config, file_source(destination.to_data_source()))
        rows = ds.dataset(str(data)) if isinstance(data, Path) else data
        ds.write_dataset(
            rows,
            path,
            format="parquet",
            filesystem=filesystem,
            basename_template=f"{uuid.uuid4().hex}-{{i}}.parquet",
            partitioning=destination.partition_by,
            partitioning_flavor="hive" if destination.partition_by else None,
            existing_data_behavior="overwrite_or_ignore",
        )


def entity_rows(entity_df: Any) -> tuple[pa.Table, str]:
    """Turn an entity DataFrame into Arrow, its times in UTC, and say which column they are in.

    Raises
    ------
    JoinError
        If it is no DataFrame, or its times cannot be read.
    """
    if not isinstance(entity_df, pd.DataFrame):
        kind = "a SQL query" if isinstance(entity_df, str) else f"a {type(entity_df).__name__}"
        raise JoinError(
            f"entity_df is {kind}: this repo names no warehouse that could run SQL. Pass a pandas "
            f"DataFrame with the entity keys and event_timestamp."
        )
    timestamp = infer_event_timestamp_from_entity_df(
        {str(name): kind for name, kind in entity_df.dtypes.items()}
    )
    frame = entity_df.assign(**{timestamp: utc_times(entity_df[timestamp], timestamp)})
    try:
        return pa.Table.from_pandas(frame, preserve_index=False), timestamp
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise JoinError(f"entity_df has a column of mixed kinds: {error}.") from None


def _any_source(views: Sequence[FeatureView], registry: BaseRegistry, project: str) -> DataSource:
    """Return a source of the warehouse: only by one is it known what reads its SQL."""
    asked = [view.batch_source for view in views if view.batch_source]
    for source in [*asked, *registry.list_data_sources(project)]:
        if not isinstance(source, (FileSource, RequestSource, PushSource, KafkaSource)):
            return source
    raise JoinError(
        "entity_df is a SQL query, but no source of the warehouse is registered, by which Feast "
        "could run it. Declare one in the repo, or pass a DataFrame."
    )


def _open_columns(
    config: RepoConfig,
    data_source: DataSource,
    columns: Sequence[str],
    times: Sequence[str | None],
) -> tuple[FeatureTable, list[str]]:
    """Open a source for a pull, and say which columns to read: all, where none are named."""
    table = open_source(config, file_source(data_source))
    named = [*columns, *(column for column in times if column)]
    table.require(named)
    return table, list(dict.fromkeys(named)) if columns else table.schema.names
