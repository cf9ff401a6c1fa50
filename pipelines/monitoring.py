"""``feast monitor``: files are measured here, and what lies in a warehouse by its own store.

The figures are kept in the warehouse where the repo has one, so that all of them lie in one place,
and else in Delta tables in the repo.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
from feast import RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.offline_store import OfflineStore

from deepfeast.transforms.embeddings.table import EmbeddingTable
from deepfeast.transforms.errors import DriftError, SourceNotFound
from deepfeast.transforms.features import CREATED, hash_column
from deepfeast.transforms.files.columns import in_source
from deepfeast.transforms.files.place import file_source, is_delta, source_uri, storage_options
from deepfeast.transforms.files.source import open_source
from deepfeast.transforms.files.table import FeatureTable
from deepfeast.transforms.history.latest import Span, rows_between
from deepfeast.transforms.monitoring.drift import with_distances
from deepfeast.transforms.monitoring.groups import declared_groups
from deepfeast.transforms.monitoring.measure import measure
from deepfeast.transforms.monitoring.record import KINDS, Record
from deepfeast.transforms.monitoring.since import drift_since, times_of
from deepfeast.transforms.times import NEVER, nanoseconds
from deepfeast.transforms.warehouse.open import elsewhere, open_warehouse

# How the cells of a CSV are read.
_CELLS = {"numeric": pa.float64(), "categorical": pa.string()}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class MonitoredStore(OfflineStore):
    """The six calls of Feast for monitoring."""

    @staticmethod
    def compute_monitoring_metrics(
        config: RepoConfig,
        data_source: DataSource,
        feature_columns: list[tuple[str, str]],
        timestamp_field: str,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        histogram_bins: int = 20,
        top_n: int = 10,
    ) -> list[dict[str, Any]]:
        """Measure the rows whose event time lies in the range, ends included."""
        warehouse = elsewhere(config, data_source)
        if warehouse is not None:
            return warehouse.store.compute_monitoring_metrics(
                warehouse.config,
                data_source,
                feature_columns,
                timestamp_field,
                start_date,
                end_date,
                histogram_bins,
                top_n,
            )
        source = file_source(data_source)
        names = [(name, in_source(source, name), kind) for name, kind in feature_columns]
        time = in_source(source, timestamp_field)
        cells = {column: _CELLS[kind] for _, column, kind in names}
        table = open_source(config, source, types=cells)
        table.require([time, *cells])
        rows = rows_between(table, time, Span(start_date, end_date))
        found = measure(table, rows, names, bins=histogram_bins, top=top_n)
        marks = _encoders(config, source)
        about = {"table": source.name, **times_of(table, rows, time)} if marks else {}
        deep = [one for one in found if one["feature_name"] in marks and one["histogram"]]
        for figures in deep:
            figures["histogram"] |= {"encoder": marks[figures["feature_name"]][:12], **about}
        known = _bases(config, source) if deep else {}
        grouping = declared_groups(config, source) if known else None
        for figures in deep:
            name = figures["feature_name"]
            base = known.get(name, {})
            if base.get("encoder") == figures["histogram"]["encoder"]:
                span, keys = Span(start_date, end_date), _keys(table, marks, time)
                try:
                    drift = drift_since(table, name, keys, time, base, span, grouping)
                except DriftError as error:
                    # Feast would give up the figures of the whole view.
                    warnings.warn(f"{name} was not tested for drift: {error}", stacklevel=2)
                    continue
                figures["histogram"] |= {"drift": drift} if drift else {}
        return found

    @staticmethod
    def get_monitoring_max_timestamp(
        config: RepoConfig, data_source: DataSource, timestamp_field: str
    ) -> datetime | None:
        """Return the latest event time; None where there is no row, or no table yet."""
        warehouse = elsewhere(config, data_source)
        if warehouse is not None:
            return warehouse.store.get_monitoring_max_timestamp(
                warehouse.config, data_source, timestamp_field
            )
        source = file_source(data_source)
        time = in_source(source, timestamp_field)
        try:
            table = open_source(config, source, types={})
        except SourceNotFound:
            return None
        table.require([time])
        parts = (nanoseconds(part.column(time)) for part in table.scan([time]) if len(part))
        latest = max((int(part.max()) for part in parts), default=NEVER)
        # To the microsecond, and not before the row.
        return None if latest == NEVER else _EPOCH + timedelta(microseconds=-(-latest // 1000))

    @staticmethod
    def ensure_monitoring_tables(config: RepoConfig) -> None:
        """Make the tables of figures, if they are not there."""
        warehouse = open_warehouse(config)
        if warehouse is not None:
            warehouse.store.ensure_monitoring_tables(warehouse.config)
            return
        for kind in KINDS:
            Record(config, kind).ensure()

    @staticmethod
    def save_monitoring_metrics(
        config: RepoConfig, metric_type: str, metrics: list[dict[str, Any]]
    ) -> None:
        """Keep figures; those of vectors with the distance from their baseline."""
        rows = metrics
        if metric_type == "feature":
            rows = with_distances(rows, lambda project: _baselines(config, project))
        warehouse = open_warehouse(config)
        if warehouse is not None:
            warehouse.store.save_monitoring_metrics(warehouse.config, metric_type, rows)
        elif rows:
            Record(config, metric_type).save(rows)

    @staticmethod
    def query_monitoring_metrics(
        config: RepoConfig,
        project: str,
        metric_type: str,
        filters: dict[str, Any] | None = None,
        start_date: date | None = None,
        end_date: date | None = None,
    ) -> list[dict[str, Any]]:
        """Return figures that were kept, the earliest date first."""
        warehouse = open_warehouse(config)
        if warehouse is not None:
            return warehouse.store.query_monitoring_metrics(
                warehouse.config, project, metric_type, filters, start_date, end_date
            )
        return Record(config, metric_type).query(project, filters, start_date, end_date)

    @staticmethod
    def clear_monitoring_baseline(
        config: RepoConfig,
        project: str,
        feature_view_name: str | None = None,
        feature_name: str | None = None,
        data_source_type: str | None = None,
    ) -> None:
        """Let no figures be the baseline any more."""
        warehouse = open_warehouse(config)
        if warehouse is not None:
            warehouse.store.clear_monitoring_baseline(
                warehouse.config, project, feature_view_name, feature_name, data_source_type
            )
            return
        Record(config, "feature").clear_baseline(
            {
                "project_id": project,
                "feature_view_name": feature_view_name,
                "feature_name": feature_name,
                "data_source_type": data_source_type,
            }
        )


def _baselines(config: RepoConfig, project: str) -> list[dict[str, Any]]:
    return MonitoredStore.query_monitoring_metrics(
        config, project, "feature", {"is_baseline": True}
    )


def _bases(config: RepoConfig, source: Any) -> dict[str, dict[str, Any]]:
    """Return what the baselines of a deep view keep of its features, the latest of each."""
    return {
        row["feature_name"]: row["histogram"]
        for row in _baselines(config, config.project)
        if (row["histogram"] or {}).get("table") == source.name
    }


def _keys(table: FeatureTable, features: Mapping[str, str], time: str) -> list[str]:
    """Return the join keys of an embedding table: what is nothing else."""
    others = {*features, *map(hash_column, features), time, CREATED}
    return [name for name in table.schema.names if name not in others]


def _encoders(config: RepoConfig, source: Any) -> dict[str, str]:
    """Return the encoders' fingerprints, where the source is an embedding table."""
    if not is_delta(source):
        return {}
    table = EmbeddingTable(source_uri(config, source), source.name, storage_options(source))
    return table.fingerprints()
