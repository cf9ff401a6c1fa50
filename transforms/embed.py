"""EmbedColumns: deep features for anyone's Beam pipeline.

Elements are Arrow record batches of a few hundred rows. Each comes out with one vector column
more a feature, rows and order unchanged; values that could not be encoded go to a second
output. Importing this module loads Beam.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.metrics import Metrics

from deepfeast.transforms.arrow import matrix_to_vectors
from deepfeast.transforms.encoders import build_encoder
from deepfeast.transforms.encoders.cache import loaded, turn
from deepfeast.transforms.encoders.column import encode_column, open_reader
from deepfeast.transforms.errors import ColumnNotFound, SpecError
from deepfeast.transforms.features import DeepFeature

REJECTS = "rejects"
METRICS = "deepfeast"
_here: ContextVar[Counter[str] | None] = ContextVar("counted", default=None)


class EmbedColumns(beam.PTransform):
    """Add a vector column for each deep feature to record batches.

    Parameters
    ----------
    features : sequence of DeepFeature, or of mappings with its fields
        Mappings are for Beam YAML, which knows no classes.
    root : str
        Folder that image paths are relative to, for features that name none.
    threads : int, optional
        Threads of the network on each worker.

    Returns
    -------
    PCollection of RecordBatch
        The batches given, with a ``list<float32>`` column a feature: null where the value is
        missing or rejected; they carry no rows but their own across a shuffle, even if they were
        sliced from larger ones. With ``.with_rejects()``, a dict of two outputs: ``batches``, and
        ``rejects`` as dicts of row, column, feature, reason and message.

    Raises
    ------
    SpecError
        If no feature is given, or a mapping has a field that DeepFeature does not.
    ColumnNotFound
        On the worker, if a batch lacks a feature's column, or has one of its name already.

    Examples
    --------
    >>> words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    >>> EmbedColumns([DeepFeature("vec", column="title", encoder=words)]).features[0].name
    'vec'
    """

    def __init__(
        self,
        features: Sequence[DeepFeature | dict[str, Any]],
        root: str = ".",
        threads: int | None = None,
    ):
        super().__init__()
        if not features:
            raise SpecError("EmbedColumns needs at least one feature.")
        self.features = tuple(_as_feature(feature) for feature in features)
        for feature in self.features:
            build_encoder(feature)
        self.root = root
        self.threads = threads
        self.rejects = False

    def with_rejects(self) -> EmbedColumns:
        """Return the rejects as a second output."""
        self.rejects = True
        return self

    def expand(self, batches: beam.PCollection) -> Any:
        embed = beam.ParDo(_EmbedBatch(self.features, self.root, self.threads))
        outputs = batches | "Embed" >> embed.with_outputs(
            REJECTS, main="batches"
        ).with_output_types(pa.RecordBatch)
        return (
            {"batches": outputs.batches, REJECTS: outputs.rejects}
            if self.rejects
            else outputs.batches
        )


def _as_feature(feature: DeepFeature | dict[str, Any]) -> DeepFeature:
    if isinstance(feature, DeepFeature):
        return feature
    try:
        return DeepFeature(**feature)
    except TypeError as error:
        raise SpecError(f"{feature!r} does not describe a deep feature: {error}") from error


class _EmbedBatch(beam.DoFn):
    """Encode the columns of one batch."""

    def __init__(self, features: Sequence[DeepFeature], root: str, threads: int | None):
        self.features = features
        self.root = root
        self.threads = threads

    def setup(self) -> None:
        self.encoders = [loaded(feature, self.threads) for feature in self.features]
        self.readers = [
            open_reader(feature, encoder, self.root)
            for feature, encoder in zip(self.features, self.encoders, strict=True)
        ]

    def process(self, batch: pa.RecordBatch) -> Iterator[Any]:
        for feature, encoder, reader in zip(
            self.features, self.encoders, self.readers, strict=True
        ):
            if feature.column not in batch.schema.names:
                raise ColumnNotFound.of(feature.column, "the record batch", batch.schema.names)
            if feature.name in batch.schema.names:
                raise ColumnNotFound(
                    f"the record batch already has a column {feature.name!r}; "
                    f"call the deep feature something else."
                )
            column = batch.column(batch.schema.get_field_index(feature.column))
            with turn(self.threads):
                encoded = encode_column(column, encoder, reader)
            vectors = matrix_to_vectors(encoded.vectors, ~np.isnan(encoded.vectors[:, 0]))
            batch = batch.append_column(feature.name, vectors)
            count("values", feature.name, len(vectors) - vectors.null_count)
            count(REJECTS, feature.name, len(encoded.rejects))
            for what, number in encoded.counts.items():
                count(what, feature.name, number)
            yield from _tagged(feature, encoded.rejects)
        yield _without_other_rows(batch)


def _without_other_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Copy a batch that is a slice of a larger one: pickled, it would take all of that along."""
    if batch.get_total_buffer_size() <= batch.nbytes:
        return batch
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return pa.ipc.open_stream(sink.getvalue()).read_next_batch()


def _tagged(feature: DeepFeature, rejects: dict[int, Any]) -> Iterable[Any]:
    for row, reject in rejects.items():
        body = {"row": row, "column": feature.column, "feature": feature.name}
        yield beam.pvalue.TaggedOutput(
            REJECTS, {**body, "reason": reject.reason, "message": reject.message}
        )


def count(what: str, feature: str, number: int) -> None:
    """Add to a Beam counter ``<feature>_<what>`` in the project's namespace."""
    counts = _here.get()
    if counts is None:
        Metrics.counter(METRICS, f"{feature}_{what}").inc(number)
    else:
        counts[f"{feature}_{what}"] += number


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Collect what is counted by DoFns that this thread calls without a pipeline.

    >>> with counted() as counts:
    ...     count("values", "title_vec", 3)
    >>> counts
    Counter({'title_vec_values': 3})
    """
    counts: Counter[str] = Counter()
    token = _here.set(counts)
    try:
        yield counts
    finally:
        _here.reset(token)
