"""A pool whose workers keep what they have loaded."""

import os
import subprocess
import sys

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from deepfeast.pipelines.options import pipeline_options
from deepfeast.pipelines.workers import serve
from deepfeast.transforms.errors import WorkerError


class Seen(beam.DoFn):
    """Say which process this is."""

    def process(self, element):
        yield os.getpid()


@pytest.fixture
def pool():
    server, port = serve("localhost:0")
    yield f"localhost:{port}"
    server.stop(None)


def test_the_workers_of_every_job_are_in_the_process_of_the_pool(pool):
    options = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=EXTERNAL"]
    for _ in range(2):
        with beam.Pipeline(
            options=pipeline_options([*options, f"--environment_config={pool}"])
        ) as pipeline:
            assert_that(pipeline | beam.Create([1]) | beam.ParDo(Seen()), equal_to([os.getpid()]))


def test_a_port_that_is_taken_is_named(pool):
    with pytest.raises(WorkerError, match=f"cannot listen at {pool}.*--environment_config"):
        serve(pool)


def test_the_command_says_what_the_engine_is_to_be_told():
    command = [sys.executable, "-m", "deepfeast.pipelines.cli", "workers", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pool:
        told = pool.stdout.readline()
        pool.kill()
    assert told.startswith("workers: --environment_type=EXTERNAL --environment_config=localhost:")
