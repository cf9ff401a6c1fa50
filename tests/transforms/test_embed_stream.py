"""EmbedColumns in pipelines that never end: rows come one by one, batches by count and by time."""

import time

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io import fileio
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.test_stream import TestStream
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from deepfeast.transforms import DeepFeature, EmbedColumns

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
FEATURES = [DeepFeature("vec", column="title", encoder=WORDS)]
ROWS = [
    {"id": "a", "title": "red shirt"},
    {"id": "b", "title": None},
    {"id": "c", "title": "poison"},
    {"id": "d", "title": "blue hat"},
    {"id": "e", "title": "a coat"},
]
VECTORS = [[3, 5], None, None, [4, 3], [1, 4]]
EMBEDDED = [{**row, "vec": vector} for row, vector in zip(ROWS, VECTORS, strict=True)]


@pytest.fixture
def streaming(prism):
    """A pipeline that never ends, but where its test stream does."""
    engine = ["--runner=PortableRunner", f"--job_endpoint={prism}", "--environment_type=LOOPBACK"]
    return TestPipeline(options=PipelineOptions([*engine, "--streaming"]))


def batch(keyed):
    return pa.RecordBatch.from_pylist(sorted(keyed[1], key=lambda row: row["id"]))


def ids(batches):
    return batches | beam.Map(lambda one: one.column("id").to_pylist())


def rows(batches):
    return batches | beam.FlatMap(lambda one: one.to_pylist())


def test_batches_by_time_get_the_vectors_of_a_bounded_pipeline(streaming):
    stream = TestStream().add_elements(
        TimestampedValue(row, at) for row, at in zip(ROWS, (0, 10, 20, 65, 70), strict=True)
    )
    with streaming:
        found = (
            streaming
            | stream.advance_watermark_to_infinity()
            | beam.WindowInto(FixedWindows(60))
            | beam.WithKeys(None)
            | beam.GroupByKey()
            | "Batch" >> beam.Map(batch).with_output_types(pa.RecordBatch)
            | EmbedColumns(FEATURES).with_rejects()
        )
        by_window = ids(found["batches"])
        assert_that(by_window, equal_to([["a", "b", "c"], ["d", "e"]]), label="windows")
        assert_that(rows(found["batches"]), equal_to(EMBEDDED), label="streamed")
        rejects = found["rejects"] | "Reasons" >> beam.Map(lambda one: (one["row"], one["reason"]))
        assert_that(rejects, equal_to([(2, "poisoned")]), label="rejects")
    with TestPipeline(runner="FnApiRunner") as bounded:
        whole = bounded | beam.Create([pa.RecordBatch.from_pylist(ROWS)]) | EmbedColumns(FEATURES)
        assert_that(rows(whole), equal_to(EMBEDDED))


def test_batches_by_count_are_not_kept_waiting_for_the_last_row(streaming):
    stream = (
        TestStream()
        .add_elements(ROWS[:3])
        .advance_processing_time(11)
        .add_elements(ROWS[3:])
        .advance_watermark_to_infinity()
    )
    with streaming:
        found = (
            streaming
            | stream
            | beam.WithKeys(0)
            | beam.GroupIntoBatches(2, max_buffering_duration_secs=10)
            | "Batch" >> beam.Map(batch).with_output_types(pa.RecordBatch)
            | EmbedColumns(FEATURES)
        )
        # An engine may hand rows on in any order, but never holds one back for want of a second.
        sizes = found | beam.Map(len)
        assert_that(sizes, equal_to([2, 2, 1]), label="sizes")
        assert_that(rows(found), equal_to(EMBEDDED), label="rows")


@pytest.mark.timeout(180)
def test_files_are_embedded_as_they_appear(tmp_path):
    pq.write_table(pa.Table.from_pylist(ROWS[:3]), tmp_path / "1.parquet")

    def read(file):
        if file.path.endswith("1.parquet"):
            # Seen while the stream runs, so the second comes at a later look.
            pq.write_table(pa.Table.from_pylist(ROWS[3:]), tmp_path / "2.parquet")
        yield from pq.read_table(file.path).to_batches()

    looks = fileio.MatchContinuously(
        f"{tmp_path}/*.parquet", interval=0.5, stop_timestamp=time.time() + 5
    )
    with TestPipeline(runner="FnApiRunner") as streaming:
        found = (
            streaming
            | looks
            | beam.FlatMap(read).with_output_types(pa.RecordBatch)
            | EmbedColumns(FEATURES)
        )
        assert_that(rows(found), equal_to(EMBEDDED))
