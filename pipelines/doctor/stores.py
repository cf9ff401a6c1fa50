"""What the configured stores and the engine do wrong with the views of a repo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.doctor.arrays import is_array
from deepfeast.pipelines.doctor.findings import Finding
from deepfeast.transforms.feast_api import DASK_CONFIG, REDIS_CONFIG, SQLITE_CONFIG, is_a
from deepfeast.transforms.features import deep_spec

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

OURS = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
ENGINE = "deepfeast.pipelines.engine.BeamEngine"


def check_stores(store: FeatureStore, views: list[FeatureView]) -> Iterator[Finding]:
    """Look for what the configured stores and the engine do wrong with such views."""
    config = store.config
    engine = config.batch_engine_config
    engine_type = engine.get("type") if isinstance(engine, dict) else engine
    arrays = [view.name for view in views if any(is_array(field) for field in view.features)]
    if is_a(config.offline_store, DASK_CONFIG) and arrays:
        yield Finding(
            "warning",
            "offline_store",
            f"Feast's default store drops label rows without features and repeated label rows, and "
            f"takes half a minute for 20,000 vectors; {', '.join(arrays)} hold vectors.",
            f"Set offline_store.type to {OURS} in feature_store.yaml.",
        )
    searched = getattr(config.online_store, "vector_enabled", False)
    sqlite = is_a(config.online_store, SQLITE_CONFIG)
    if sqlite and searched:
        yield Finding(
            "error",
            "online_store",
            "Feast's vector search on SQLite works on Python 3.10 alone, which is too old for "
            "deepfeast.",
            "Remove vector_enabled from online_store, or use another store.",
        )
    yield from _check_engine(engine_type, engine, config.online_store, views)


def _check_engine(
    engine_type: Any, engine: Any, settings: Any, views: list[FeatureView]
) -> Iterator[Finding]:
    deep = [view.name for view in views if deep_spec(view)]
    if engine_type == ENGINE:
        if isinstance(engine, dict) and "dask" in str(engine.get("runner", "")).lower():
            yield Finding(
                "error",
                "batch_engine",
                "Beam's Dask runner loses rows, so that nothing will be materialized on it.",
                "Set batch_engine.runner to FnApiRunner, FlinkRunner, SparkRunner or "
                "DataflowRunner.",
            )
        return
    if is_a(settings, REDIS_CONFIG) and deep and not settings.skip_dedup:
        yield Finding(
            "error",
            "online_store",
            f"Redis ignores a write whose event time is not newer, so vectors of "
            f"{', '.join(deep)} that are embedded again by a new encoder never arrive.",
            f"Set batch_engine.type to {ENGINE}, or online_store.skip_dedup to true.",
        )
    elif deep:
        yield Finding(
            "warning",
            "batch_engine",
            f"{engine_type!r} writes what the embedding tables hold but does not embed; an older "
            f"span overwrites newer values on SQLite and PostgreSQL.",
            f"Set batch_engine.type to {ENGINE}.",
        )
