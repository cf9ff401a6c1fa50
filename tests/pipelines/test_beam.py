"""What a worker raised reaches the user whole, whatever the runner does to its text."""

import logging
import os
import socket

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


def refused(*options):
    with pytest.raises(errors.DeepfeastError) as caught:
        run_stage("Hash", [1], Refuse(), options, lambda: 0, 1, lambda *_: None)
    return type(caught.value), str(caught.value)


def test_in_this_process():
    with pytest.raises(errors.SourceError) as caught:
        run_stage("Hash", [1, 2], Refuse(), [], lambda: 0, 1, lambda *_: None)
    assert str(caught.value) == MESSAGE


def test_in_a_process_of_its_own():
    options = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    assert refused(*options) == (errors.SourceError, MESSAGE)


def test_on_the_portable_runner():
    options = ["--runner=PortableRunner", "--environment_type=LOOPBACK", "--job_endpoint=embed"]
    assert refused(*options) == (errors.SourceError, MESSAGE)


def test_on_prism(prism):
    options = ["--runner=PortableRunner", "--environment_type=LOOPBACK"]
    assert refused(*options, f"--job_endpoint={prism}") == (errors.SourceError, MESSAGE)


class Fail(beam.DoFn):
    """Raise an error that is none of ours."""

    def process(self, element):
        raise ValueError("a strange thing")


def test_an_error_that_is_not_ours_is_no_cause_of_itself(recwarn):
    with pytest.raises(ValueError, match="a strange thing") as caught:
        run_stage("Hash", [1], Fail(), [], lambda: 0, 1, lambda *_: None)
    assert original_error(caught.value) is caught.value


class Where(beam.DoFn):
    """Say in which process an element is processed, by a file."""

    def __init__(self, folder, light):
        self.folder, self.light = folder, light

    def process(self, element):
        (self.folder / f"{element}-{os.getpid()}").touch()


@pytest.mark.parametrize("elements, light, here", [(1, True, 1), (2, True, 0), (1, False, 0)])
def test_one_light_element_needs_no_worker_elsewhere(tmp_path, elements, light, here):
    elsewhere = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    stage = Where(tmp_path, light)
    run_stage("Hash", range(elements), stage, elsewhere, lambda: 0, 1, lambda *_: None)
    assert len(list(tmp_path.glob("*"))) == elements
    assert len(list(tmp_path.glob(f"*-{os.getpid()}"))) == here


def test_a_single_element_of_a_single_worker_needs_no_pipeline(monkeypatch):
    monkeypatch.setattr(beam, "Pipeline", None)
    assert refused() == (errors.SourceError, MESSAGE)


@pytest.mark.parametrize(
    "said",
    [
        "bundle inst001 failed:SDK worker disconnected: worker[job-002], 2 active instructions",
        "java.util.concurrent.TimeoutException: The heartbeat of TaskManager with id a:1 timed out",
        "ExecutorLostFailure (executor 1 exited caused by one of the running tasks)",
    ],
)
def test_a_lost_worker_is_told_in_a_line(said):
    told = original_error(RuntimeError(f"Pipeline failed in state FAILED:\n{said}\n\tat Main.java"))
    assert type(told) is errors.WorkerLost
    assert said[:60] in str(told)
    assert "run again" in str(told)
    assert "\n" not in str(told)


def test_a_job_server_that_is_not_there_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens there
        where = f"localhost:{taken.getsockname()[1]}"
        kind, told = refused(
            "--runner=PortableRunner",
            f"--job_endpoint={where}",
            "--job_server_timeout=1",
            "--environment_type=LOOPBACK",
        )
    assert kind is errors.WorkerError
    assert f"the job server {where} does not answer" in told


def test_a_worker_that_never_came_is_told_with_the_ways_out():
    told = original_error(RuntimeError("prism worker[1] didn't get control connection to a:1"))
    assert type(told) is errors.WorkerError
    assert "deepfeast workers" in str(told)


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
