"""What a materialization read and wrote, column by column."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from feast import FileSource

from deepfeast.pipelines.lineage import Column, Data, told
from deepfeast.transforms.files.columns import SourceColumns
from deepfeast.transforms.files.place import source_uri

if TYPE_CHECKING:
    from feast import FeatureView, RepoConfig


def traced(
    config: RepoConfig, view: FeatureView, counts: dict[str, int]
) -> AbstractContextManager[None]:
    """Tell of a materialization as `lineage.told` does; `counts` is filled while it runs."""
    source: Any = view.batch_source
    project = config.project
    is_file = isinstance(source, FileSource)
    table = Data(source_uri(config, source) if is_file else f"feast://{project}/{source.name}")
    named = SourceColumns.of(view)
    columns = {
        name: Column(table, column) for name, column in (named.keys | named.features).items()
    }
    uri = f"{config.online_store.type}://{project}/{view.name}"

    def written() -> list[Data]:
        return [Data(uri, columns, counts.get("rows_written"), counts.get("bytes_written"))]

    return told(project, f"materialize.{view.name}", [table], written)
