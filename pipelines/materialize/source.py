"""What a view's rows are read from: its table in files, or what its offline store gives.

Of a deep view it is known, too, what the table holds at just that moment.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.embeddings.table import EmbeddingTable
from deepfeast.transforms.features import deep_spec
from deepfeast.transforms.files.columns import SourceColumns
from deepfeast.transforms.files.place import file_source, source_uri, storage_options
from deepfeast.transforms.files.source import open_source
from deepfeast.transforms.files.table import FeatureTable, open_table
from deepfeast.transforms.online.seal import Seal
from deepfeast.transforms.times import in_utc
from deepfeast.transforms.warehouse.open import lies_in_files, open_warehouse
from deepfeast.transforms.warehouse.postgres import reaching
from deepfeast.transforms.warehouse.pull import rows_of_job, write_rows
from deepfeast.transforms.warehouse.typed import by_source

if TYPE_CHECKING:
    from feast import FeatureView, RepoConfig

    from deepfeast.transforms.history.latest import Span

PULLED_ROWS = 5_000


@dataclass(frozen=True)
class Source:
    """What is read, and what its columns are called.

    Attributes
    ----------
    table : FeatureTable
    columns : SourceColumns
    """

    table: FeatureTable
    columns: SourceColumns


def open_view(
    config: RepoConfig, offline_store: Any, view: FeatureView, span: Span, folder: Path
) -> tuple[Source, Seal | None]:
    """Open the table that a view is brought online from.

    Parameters
    ----------
    offline_store : OfflineStore
        Asked where the table is not in files.
    span : Span
        What is asked for then; both of its ends are needed.
    folder : Path
        For what must be rewritten.

    Returns
    -------
    source : Source
    holds : Seal or None
        What the rows of a deep view were made with.

    Raises
    ------
    ColumnNotFound
        If the table lacks a column of the view.
    NeverEmbedded
        If a deep view has no table yet.
    """
    columns = SourceColumns.of(view)
    holds = _holds(config, view)
    while True:
        table = _open(config, offline_store, view, columns, span, folder)
        again = _holds(config, view)
        # A run may publish between the two looks.
        if again is None or holds is None or again.version == holds.version:
            break
        holds = again
    table.require(columns.all)
    return Source(table, columns), holds


def _holds(config: RepoConfig, view: FeatureView) -> Seal | None:
    if deep_spec(view) is None:
        return None
    source = file_source(view.batch_source)
    table = EmbeddingTable(source_uri(config, source), view.name, storage_options(source))
    return Seal.of(table.commits()[0])


def _open(
    config: RepoConfig,
    offline_store: Any,
    view: FeatureView,
    columns: SourceColumns,
    span: Span,
    folder: Path,
) -> FeatureTable:
    import pyarrow.parquet as pq

    source: Any = view.batch_source
    if lies_in_files(source):
        return open_source(config, source, view, scratch=folder / "csv")
    assert span.start is not None
    assert span.end is not None
    warehouse, path = open_warehouse(config), folder / "latest.parquet"
    what = f"view {view.name!r}, source {source.name!r}"
    with reaching(warehouse, what) if warehouse else nullcontext():
        job = offline_store.pull_latest_from_table_or_query(
            config=config,
            data_source=source,
            join_key_columns=list(columns.keys.values()),
            feature_name_columns=list(columns.features.values()),
            timestamp_field=columns.time,
            created_timestamp_column=columns.created or None,
            start_date=in_utc(span.start),
            end_date=in_utc(span.end),
        )
        if warehouse is None:
            pq.write_table(job.to_arrow(), path, row_group_size=PULLED_ROWS)
        else:
            rows, types = rows_of_job(warehouse, job), by_source(view, columns)
            write_rows(rows, path, types, what, columns.all, PULLED_ROWS)
    return open_table(str(path), name=f"the source of view {view.name!r}")


def needs_feast(view: FeatureView) -> bool:
    """Tell whether a view is more than rows of a source, so that Feast's engine must compute it.

    Batch and stream views with a transformation or aggregations, views built on other views,
    views that are validated, and views that are materialized offline.
    """
    return bool(
        getattr(view, "feature_transformation", None)
        or getattr(view, "aggregations", None)
        or getattr(view, "source_views", None)
        or getattr(view, "enable_validation", False)
        or getattr(view, "offline", False)
    )
