"""What an embed run read and wrote, column by column."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.embed.job import Run
from deepfeast.pipelines.lineage import Column, Data, told
from deepfeast.transforms.features import DeepViewSpec
from deepfeast.transforms.files.columns import SourceColumns
from deepfeast.transforms.files.place import source_uri
from deepfeast.transforms.warehouse.open import data_uri

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView


def traced(
    store: FeatureStore, view: FeatureView, spec: DeepViewSpec, run: Run
) -> AbstractContextManager[None]:
    """Tell of a run as `lineage.told` does: from raw columns to vectors, with their encoders."""
    source = store.get_data_source(spec.source)
    raw = Data(data_uri(store.config, source))
    table: Any = view.batch_source
    uri = source_uri(store.config, table)

    def written() -> list[Data]:
        named = SourceColumns.of(view, source, [feature.column for feature in spec.features])
        columns = {name: Column(raw, column) for name, column in named.keys.items()}
        for feature in spec.features:
            mark = run.fingerprints.get(feature.name, "")
            column = named.features[feature.column]
            columns[feature.name] = Column(raw, column, "TRANSFORMATION", feature.encoder, mark)
        return [Data(uri, columns, run.rows, run.bytes)]

    return told(store.project, f"embed.{run.view}", [raw], written)
