"""EmbedRows: EmbedColumns for pipelines of Beam rows, such as Beam YAML's.

Rows have a schema and are single; a network wants hundreds of them. They are batched here, and
come out as rows again, with a field more for each feature. Importing this module loads Beam.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.typehints.row_type import RowTypeConstraint

from deepfeast.transforms.embed import EmbedColumns, _EmbedBatch
from deepfeast.transforms.errors import ColumnNotFound


class EmbedRows(beam.PTransform):
    """Add a vector field for each deep feature to rows with a schema.

    Parameters
    ----------
    features : sequence of mappings
        Each with the fields of a DeepFeature: ``name``, ``column``, ``encoder``…
    root : str
        Folder that image paths are relative to, for features that name none.
    batch_rows : int
        Rows encoded together.
    threads : int, optional
        Threads of the network on each worker.

    Returns
    -------
    PCollection of Row
        The rows given with one field more a feature, a list of float32: null where the value is
        missing or was rejected. Beam's counters ``<feature>_rejects`` count the latter.

    Raises
    ------
    ColumnNotFound
        If the rows lack a column, as the pipeline is built; it names those present.

    Examples
    --------
    A step of Beam YAML; ``docs/examples/embed.yaml`` is a whole pipeline::

        - type: EmbedRows
          config: {features: [{name: vec, column: title, encoder: minilm}]}
    """

    def __init__(
        self,
        features: Sequence[Mapping[str, str]],
        root: str = ".",
        batch_rows: int = 256,
        threads: int | None = None,
    ):
        super().__init__()
        # Checked here, where the user is.
        self.columns = EmbedColumns([dict(feature) for feature in features], root, threads)
        self.batch_rows = batch_rows

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        kind: Any = rows.element_type
        given: Any = RowTypeConstraint.from_user_type(kind) or kind
        names = [name for name, _ in given._fields]
        for feature in self.columns.features:
            if feature.column not in names:
                raise ColumnNotFound.of(feature.column, "the rows", names)
        # Beam takes the other way to write this for an object of unknown type.
        vector: Any = typing.Optional[Sequence[np.float32]]  # noqa: UP045
        vectors = [(feature.name, vector) for feature in self.columns.features]
        columns = self.columns
        return (
            rows
            | "Batch"
            >> beam.BatchElements(min_batch_size=self.batch_rows, max_batch_size=self.batch_rows)
            | "Embed"
            >> beam.ParDo(
                _EmbedRows(columns.features, columns.root, columns.threads)
            ).with_output_types(RowTypeConstraint.from_fields([*given._fields, *vectors]))
        )


class _EmbedRows(_EmbedBatch):
    """Encode fields of a list of rows."""

    def process(self, rows: list[Any]) -> Iterator[Any]:
        names = dict.fromkeys(feature.column for feature in self.features)
        # From CSV a missing text is NaN.
        batch = pa.record_batch(
            {name: pa.array([getattr(r, name) for r in rows], from_pandas=True) for name in names}
        )
        (embedded,) = (out for out in super().process(batch) if isinstance(out, pa.RecordBatch))
        found = {feature.name: embedded.column(feature.name) for feature in self.features}
        for index, row in enumerate(rows):
            vectors = {name: column[index].as_py() for name, column in found.items()}
            yield beam.Row(**row._asdict(), **vectors)
