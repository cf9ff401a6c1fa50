"""Feast's store for Spark, with pulls of our own: exact in time, whatever columns are called."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
from feast import OnDemandFeatureView, RepoConfig
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata

from deepfeast.transforms.warehouse import spark


class SparkStore:
    """Feast's store, with pulls of our own for its frames; of Iceberg's tables it pulls itself.

    Parameters
    ----------
    feasts : OfflineStore
    """

    def __init__(self, feasts: OfflineStore):
        self._feasts = feasts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feasts, name)

    def pull_latest_from_table_or_query(
        self,
        config: RepoConfig,
        data_source: Any,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Return each entity's latest row whose event time lies in the range, ends included."""
        if not spark.reads(self._feasts, data_source):
            return self._feasts.pull_latest_from_table_or_query(
                config,
                data_source,
                join_key_columns,
                feature_name_columns,
                timestamp_field,
                created_timestamp_column,
                start_date,
                end_date,
            )
        order = [timestamp_field, *filter(None, [created_timestamp_column])]
        columns = list(dict.fromkeys([*join_key_columns, *feature_name_columns, *order]))
        span = spark.Span(timestamp_field, start_date, end_date)
        args = (join_key_columns, columns, order, span)

        def find() -> Iterator[pa.RecordBatch]:
            for batch in spark.latest(config.offline_store, data_source, *args):
                yield batch if join_key_columns else _of_one_entity(batch)

        return SparkJob(find)

    def pull_all_from_table_or_query(
        self,
        config: RepoConfig,
        data_source: Any,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Return every row whose event time lies in the range, ends included."""
        if not spark.reads(self._feasts, data_source):
            return self._feasts.pull_all_from_table_or_query(
                config,
                data_source,
                join_key_columns,
                feature_name_columns,
                timestamp_field,
                created_timestamp_column,
                start_date,
                end_date,
            )
        order = [timestamp_field, *filter(None, [created_timestamp_column])]
        columns = list(dict.fromkeys([*join_key_columns, *feature_name_columns, *order]))
        spans = [spark.Span(timestamp_field, start_date, end_date)]
        args = (columns if feature_name_columns else [], spans)
        return SparkJob(lambda: spark.read(config.offline_store, data_source, *args))

    def offline_write_batch(
        self,
        config: RepoConfig,
        feature_view: Any,
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Append rows to a path, their times in microseconds: Spark reads no finer ones."""
        fields = [one.with_type(_coarser(one.type)) for one in table.schema]
        with contextlib.redirect_stdout(io.StringIO()):  # on which Feast names its own scratch
            self._feasts.offline_write_batch(
                config, feature_view, table.cast(pa.schema(fields)), progress
            )

    def get_monitoring_max_timestamp(
        self, config: RepoConfig, data_source: Any, timestamp_field: str
    ) -> datetime | None:
        """Return the latest event time, which Feast's store gives by the clock of this process."""
        return spark.newest(config.offline_store, data_source, timestamp_field)


class SparkJob(RetrievalJob):
    """Rows of Spark that come when they are asked for.

    Parameters
    ----------
    find : callable
        Yields them.
    """

    def __init__(self, find: Callable[[], Iterator[pa.RecordBatch]]):
        self._find = find

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in parts."""
        return self._find()

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return pa.Table.from_batches(list(self._find()))

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal().to_pandas()

    @property
    def full_feature_names(self) -> bool:
        return False

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return []

    @property
    def metadata(self) -> RetrievalMetadata | None:
        return None


def _coarser(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else kind


def _of_one_entity(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Add the key by which Feast writes a view without entities online."""
    key = pa.array([DUMMY_ENTITY_VAL] * len(batch), pa.string())
    return batch.append_column(DUMMY_ENTITY_ID, key)
