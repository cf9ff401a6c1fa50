"""The file that a view reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.doctor.findings import Finding
from deepfeast.pipelines.doctor.stores import OURS
from deepfeast.transforms.errors import DeepfeastError
from deepfeast.transforms.features import deep_spec

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView


def check_file(store: FeatureStore, view: FeatureView) -> Iterator[Finding]:
    """Look at the table that a view reads."""
    from feast import FileSource

    from deepfeast.transforms.files.place import source_uri
    from deepfeast.transforms.files.source import open_source

    source = view.batch_source
    where = f"view {view.name}"
    if not isinstance(source, FileSource):
        return
    relative = "://" not in source.path and not Path(source.path).is_absolute()
    if relative and type(store.config.offline_store).__name__ == "DuckDBOfflineStoreConfig":
        yield Finding(
            "error",
            where,
            f"Feast's duckdb store looks for {source.path} in the working directory, not in the "
            f"repo.",
            f"Make the path absolute, or set offline_store.type to {OURS}.",
        )
    yield from check_created(where, source)
    if deep_spec(view) is None:
        try:
            open_source(store.config, source, view)
        except (DeepfeastError, OSError) as error:
            mend = f"Mend the path, or put the table at {source_uri(store.config, source)}."
            yield Finding("error", where, f"its source cannot be read: {error}", mend)


def check_created(where: str, source: Any) -> Iterator[Finding]:
    """Look whether a source says when its rows were written."""
    if not source.created_timestamp_column:
        yield Finding(
            "warning",
            where,
            "its source has no created_timestamp_column: of two rows with one key and event time "
            "nobody can say which is later, and backfilled values leak into training.",
            f"Declare it: {type(source).__name__}(name={source.name!r}, "
            f"created_timestamp_column=...).",
        )
