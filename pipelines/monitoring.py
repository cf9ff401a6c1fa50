"""``feast monitor`` beside a warehouse: its own store counts, and keeps what was counted."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from feast import RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.offline_store import OfflineStore

from deepfeast.transforms.warehouse.open import elsewhere, open_warehouse


class WarehouseMonitoring(OfflineStore):
    """Feast's calls for monitoring, passed on to the warehouse's store.

    Of files nothing is counted here: Feast then counts what it pulls. Where the metrics are kept
    only a warehouse can say; without one each call raises NotImplementedError, as Feast expects.
    """

    @staticmethod
    def compute_monitoring_metrics(
        config: RepoConfig, data_source: DataSource, *args: Any, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Count in the warehouse."""
        warehouse = elsewhere(config, data_source)
        if warehouse is None:
            raise NotImplementedError
        return warehouse.store.compute_monitoring_metrics(
            warehouse.config, data_source, *args, **kwargs
        )

    @staticmethod
    def get_monitoring_max_timestamp(
        config: RepoConfig, data_source: DataSource, timestamp_field: str
    ) -> datetime | None:
        """Return the latest time in a source of the warehouse."""
        warehouse = elsewhere(config, data_source)
        if warehouse is None:
            raise NotImplementedError
        return warehouse.store.get_monitoring_max_timestamp(
            warehouse.config, data_source, timestamp_field
        )

    @staticmethod
    def ensure_monitoring_tables(config: RepoConfig) -> None:
        """Make the tables of metrics, if they are not there."""
        store, inner = _keeper(config)
        store.ensure_monitoring_tables(inner)

    @staticmethod
    def save_monitoring_metrics(
        config: RepoConfig, metric_type: str, metrics: list[dict[str, Any]]
    ) -> None:
        """Keep metrics."""
        store, inner = _keeper(config)
        store.save_monitoring_metrics(inner, metric_type, metrics)

    @staticmethod
    def query_monitoring_metrics(
        config: RepoConfig,
        project: str,
        metric_type: str,
        filters: dict[str, Any] | None = None,
        start_date: date | None = None,
        end_date: date | None = None,
    ) -> list[dict[str, Any]]:
        """Return metrics that were kept."""
        store, inner = _keeper(config)
        return store.query_monitoring_metrics(
            inner, project, metric_type, filters, start_date, end_date
        )

    @staticmethod
    def clear_monitoring_baseline(
        config: RepoConfig,
        project: str,
        feature_view_name: str | None = None,
        feature_name: str | None = None,
        data_source_type: str | None = None,
    ) -> None:
        """Let no metrics be the baseline any more."""
        store, inner = _keeper(config)
        store.clear_monitoring_baseline(
            inner, project, feature_view_name, feature_name, data_source_type
        )


def _keeper(config: RepoConfig) -> tuple[OfflineStore, RepoConfig]:
    warehouse = open_warehouse(config)
    if warehouse is None:
        raise NotImplementedError
    return warehouse.store, warehouse.config
