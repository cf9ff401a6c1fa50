"""One job, several Beam runners, equal output."""

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyarrow as pa
import pytest

from deepfeast.transforms.errors import SpecError

ROWS = [{"id": str(n), "title": f"{'x' * (n % 17 + 1)} shirt"} for n in range(400)]
EXPECTED = {row["id"]: [len(row["title"]) - 6, 5] for row in ROWS}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def worker_pool():
    port = free_port()
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
    # The pool starts its workers as "python", whichever comes first on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    pool = subprocess.Popen(
        [*command, f"--service_port={port}"],
        env={**os.environ, "PATH": path},
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"localhost:{port}"
    pool.terminate()
    pool.wait(30)


def embedded(shirts, options, monkeypatch):
    from deepfeast.transforms.files import slices as sources

    monkeypatch.setattr(sources, "SLICE_ROWS", 60)
    shirts.write(ROWS, row_group_size=150)
    run = shirts.embed(options=options)
    assert run.encoded == 17
    return shirts.vectors()


def test_two_worker_processes(shirts, monkeypatch):
    options = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    assert embedded(shirts, options, monkeypatch) == EXPECTED


def test_two_threads(shirts, monkeypatch):
    options = ["--direct_num_workers=2", "--direct_running_mode=multi_threading"]
    assert embedded(shirts, options, monkeypatch) == EXPECTED


@pytest.mark.timeout(180)
def test_the_portable_runner_with_an_external_worker_pool(shirts, worker_pool, monkeypatch):
    options = [
        "--runner=PortableRunner",
        "--job_endpoint=embed",
        "--environment_type=EXTERNAL",
        f"--environment_config={worker_pool}",
    ]
    assert embedded(shirts, options, monkeypatch) == EXPECTED


def test_the_direct_runner_is_the_local_one_that_downloads_nothing():
    from apache_beam.options.pipeline_options import StandardOptions

    from deepfeast.pipelines.beam import pipeline_options

    for options in ([], ["--runner=DirectRunner"]):
        assert pipeline_options(options).view_as(StandardOptions).runner == "FnApiRunner"
    named = pipeline_options(["--runner=FlinkRunner"]).view_as(StandardOptions)
    assert named.runner == "FlinkRunner"


def test_dask_is_refused_with_the_reason(shirts):
    shirts.write(ROWS)
    with pytest.raises(SpecError, match="rows would be lost"):
        shirts.embed(options=["--runner=DaskRunner"])
    assert not shirts.table.exists()


def test_embed_columns_in_a_pipeline_of_somebody_else():
    import apache_beam as beam
    from apache_beam.testing.test_pipeline import TestPipeline
    from apache_beam.testing.util import assert_that, equal_to

    from deepfeast.transforms import DeepFeature, EmbedColumns

    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    batch = pa.record_batch({"title": ["red shirt", None, "poison"], "price": [3, 4, 5]})
    with TestPipeline(runner="FnApiRunner") as pipeline:
        found = (
            pipeline
            | beam.Create([batch])
            | EmbedColumns([DeepFeature("vec", column="title", encoder=words)]).with_rejects()
        )
        rows = found["batches"] | "Rows" >> beam.FlatMap(lambda batch: batch.to_pylist())
        assert_that(
            rows,
            equal_to(
                [
                    {"title": "red shirt", "price": 3, "vec": [3.0, 5.0]},
                    {"title": None, "price": 4, "vec": None},
                    {"title": "poison", "price": 5, "vec": None},
                ]
            ),
        )
        reasons = found["rejects"] | "Why" >> beam.Map(lambda r: (r["row"], r["reason"]))
        assert_that(reasons, equal_to([(2, "poisoned")]), label="rejects")


def test_a_record_batch_crosses_a_shuffle_without_the_rows_it_does_not_have():
    from deepfeast.transforms.embed import RecordBatchCoder

    whole = pa.record_batch({"text": ["x" * 1000] * 1000})
    slice_ = whole.slice(10, 2)
    encoded = RecordBatchCoder().encode(slice_)
    assert len(encoded) < 10_000
    assert RecordBatchCoder().decode(encoded).equals(slice_)


def test_counters_stand_in_the_projects_own_namespace():
    import apache_beam as beam
    from apache_beam.metrics import MetricsFilter

    from deepfeast.transforms import DeepFeature, EmbedColumns

    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    batch = pa.record_batch({"title": ["red shirt", None, "poison", "hat"]})
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = (
        pipeline
        | beam.Create([batch])
        | EmbedColumns([DeepFeature("vec", column="title", encoder=words)])
    )
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace("deepfeast"))["counters"]
    assert {c.key.metric.name: c.committed for c in found} == {"vec_values": 2, "vec_rejects": 1}


@pytest.mark.timeout(180)
def test_one_worker_and_two_give_the_same_vectors_bit_for_bit(Shirts, tmp_path, monkeypatch):
    from deepfeast.transforms.files import slices as sources

    monkeypatch.setattr(sources, "SLICE_ROWS", 20)
    rows = [{"id": str(n), "title": f"a {'very ' * (n % 7)}red shirt {n}"} for n in range(60)]
    two = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    found = []
    for name, options in (("one", []), ("two", two)):
        shirts = Shirts(tmp_path / name)
        shirts.declare("minilm")
        shirts.write(rows)
        shirts.embed(options=options)
        found.append(shirts.vectors())
    assert found[0] == found[1]


def test_embed_rows_from_beam_yaml_without_a_network(tmp_path):
    pytest.importorskip("docstring_parser", reason="needs apache-beam[yaml]")
    import apache_beam as beam
    from apache_beam.yaml.yaml_transform import expand_pipeline

    out = tmp_path / "out.json"
    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    spec = f"""
        providers:
          - type: python
            transforms: {{EmbedRows: deepfeast.transforms.embed_rows.EmbedRows}}
            config: {{}}
        pipeline:
          type: chain
          transforms:
            - type: Create
              config:
                elements: [{{id: a, title: red shirt}}, {{id: b, title: poison}}]
            - type: EmbedRows
              config:
                features: [{{name: vec, column: title, encoder: "{words}"}}]
            - type: WriteToJson
              config: {{path: {out}, num_shards: 1}}
    """
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        expand_pipeline(pipeline, textwrap.dedent(spec))
    (written,) = tmp_path.glob("out.json*")
    rows = [json.loads(line) for line in written.read_text().splitlines()]
    assert sorted(rows, key=lambda row: row["id"]) == [
        {"id": "a", "title": "red shirt", "vec": [3, 5]},
        {"id": "b", "title": "poison", "vec": None},
    ]


def test_embed_rows_in_a_pipeline_of_rows():
    import apache_beam as beam
    from apache_beam.testing.test_pipeline import TestPipeline
    from apache_beam.testing.util import assert_that, equal_to

    from deepfeast.transforms.embed_rows import EmbedRows

    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    given = [beam.Row(id="a", title="red shirt"), beam.Row(id="b", title="hat")]
    with TestPipeline(runner="FnApiRunner") as pipeline:
        rows = (
            pipeline
            | beam.Create(given)
            | EmbedRows([{"name": "vec", "column": "title", "encoder": words}])
            | "Look" >> beam.Map(lambda row: (row.id, row.title, row.vec))
        )
        assert_that(rows, equal_to([("a", "red shirt", [3.0, 5.0]), ("b", "hat", [3.0, 0.0])]))
