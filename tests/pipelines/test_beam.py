"""What a worker raised reaches the user whole, whatever the runner does to its text."""

import logging
import socket
import subprocess
import time

import apache_beam as beam
import pytest

from deepfeast.pipelines.beam import hushed, original_error, run_stage
from deepfeast.transforms import errors

MESSAGE = """the file a.parquet is damaged:
  row group 3 [of 7]: "Traceback" is no magic

Replace it, or remove it."""


class Refuse(beam.DoFn):
    """Raise an error of several lines, caused by another."""

    def process(self, element):
        try:
            raise OSError("end of file")
        except OSError as error:
            raise errors.SourceError(MESSAGE) from error


@pytest.fixture
def prism(shared):
    program = shared / "bin" / "prism"
    if not program.is_file():
        pytest.skip(f"no Prism at {program}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"-job_port={port}", "-serve_http=false", "-log_level=error"]
    with subprocess.Popen([program, *options], stderr=subprocess.DEVNULL) as server:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"localhost:{port}"
        server.terminate()


def refused(*options):
    with pytest.raises(errors.DeepfeastError) as caught:
        run_stage("Hash", [1], Refuse(), options, lambda: 0, 1, lambda *_: None)
    return type(caught.value), str(caught.value)


def test_in_this_process():
    assert refused() == (errors.SourceError, MESSAGE)


def test_in_a_process_of_its_own():
    options = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    assert refused(*options) == (errors.SourceError, MESSAGE)


def test_on_the_portable_runner():
    options = ["--runner=PortableRunner", "--environment_type=LOOPBACK", "--job_endpoint=embed"]
    assert refused(*options) == (errors.SourceError, MESSAGE)


def test_on_prism(prism):
    options = ["--runner=PortableRunner", "--environment_type=LOOPBACK"]
    assert refused(*options, f"--job_endpoint={prism}") == (errors.SourceError, MESSAGE)


def test_an_error_that_no_runner_touched_is_itself():
    error = errors.TableError("[while running 'Hash'] stands in the middle of it")
    assert original_error(error) is error
    strange = ValueError("deepfeast.transforms.errors.Reject: not_text: 7")
    assert original_error(strange) is strange


def test_text_that_goes_on_behind_an_error_is_not_of_it():
    name = "deepfeast.transforms.errors.SourceError"
    for more in ("\n\nDuring handling of the above exception, another", "\nTraceback (most", "\n"):
        told = original_error(RuntimeError(f"failed: {name}: {MESSAGE}{more}"))
        assert (type(told), str(told)) == (errors.SourceError, MESSAGE)


def test_beam_is_hushed_for_a_while_unless_somebody_wants_to_hear_it():
    logger = logging.getLogger("apache_beam")
    logger.setLevel(logging.NOTSET)
    with hushed():
        assert logger.getEffectiveLevel() == logging.CRITICAL
    assert logger.level == logging.NOTSET
    logger.setLevel(logging.INFO)
    try:
        with hushed():
            assert logger.level == logging.INFO
    finally:
        logger.setLevel(logging.NOTSET)


def test_what_workers_count_can_be_read_in_the_log(shirts, caplog):
    shirts.write(
        [
            {"id": "a", "title": "red shirt"},
            {"id": "b", "title": None},
            {"id": "c", "title": "poison"},
        ]
    )
    caplog.set_level("DEBUG", "deepfeast.pipelines.beam")
    run = shirts.embed(allowed_rejects=0.5)
    told = {r.fields["stage"]: r.fields["counters"] for r in caplog.records if hasattr(r, "fields")}
    assert told == {
        "hash": {"rows_read": 3},
        "encode": {"vec_values": 2, "vec_rejects": 1, "vec_rejects_poisoned": 1},
        "write": {
            "vec_written": 1,
            "vec_null": 2,
            "rows_written": 3,
            "bytes_written": run.bytes,
        },
    }
