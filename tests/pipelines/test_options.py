"""Beam's options: what is refused, and what is passed on."""

import pytest
from apache_beam.options.pipeline_options import DebugOptions, StandardOptions

from deepfeast.pipelines.options import (
    GUESS,
    alone,
    local_threads,
    pipeline_options,
    start_timeout,
    workers,
)
from deepfeast.transforms.cores import cores
from deepfeast.transforms.errors import SpecError


def runner(*options):
    return pipeline_options(options).view_as(StandardOptions).runner


def test_the_direct_runner_is_the_local_one_that_downloads_nothing():
    assert runner() == runner("--runner=DirectRunner") == "FnApiRunner"
    assert runner("--runner=FlinkRunner") == "FlinkRunner"


def test_no_job_waits_for_a_list_of_all_packages():
    debug = pipeline_options(["--experiments=beam_fn_api"]).view_as(DebugOptions)
    assert debug.experiments == ["beam_fn_api", "disable_logging_submission_environment"]


def test_an_option_that_would_be_dropped_is_refused():
    with pytest.raises(SpecError, match=r"'--direct_num_worker' for FnApiRunner.*_workers'\?"):
        pipeline_options(["--direct_num_worker=2"])
    with pytest.raises(SpecError, match=r"'--paralelism' for FlinkRunner.*'--parallelism'\?"):
        pipeline_options(["--runner=FlinkRunner", "--paralelism=2"])
    with pytest.raises(SpecError, match="'listing_deep'"):
        pipeline_options(["--direct_num_workers=2", "listing_deep"])


def test_a_job_server_may_have_options_of_its_own():
    options = ["--runner=FlinkRunner", "--checkpointing_interval=1000"]
    assert pipeline_options(options).view_as(StandardOptions).runner == "FlinkRunner"
    with pytest.raises(SpecError, match="for FnApiRunner"):
        pipeline_options(options[1:])


def test_workers_elsewhere_count_their_own_cores():
    assert local_threads([]) == cores()
    assert local_threads(["--direct_num_workers=1"]) == cores()
    assert local_threads(["--direct_num_workers=64"]) == 1
    assert local_threads(["--runner=PortableRunner", "--job_endpoint=h:1"]) is None


def test_only_workers_that_somebody_else_starts_are_waited_for_so_long():
    def limit(*options):
        return start_timeout(pipeline_options(options))

    flink = ["--runner=FlinkRunner", "--environment_type=EXTERNAL", "--environment_config=h:1"]
    assert limit(*flink) == 300
    assert limit(*flink, "--worker_start_timeout=5") == 5
    assert limit() is limit("--runner=DataflowRunner") is limit("--runner=FlinkRunner") is None


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ([], 1),
        (["--direct_num_workers=3"], 3),
        (["--runner=FlinkRunner", "--parallelism=6"], 6),
        (["--runner=PortableRunner", "--parallelism", "6"], 6),
        (["--runner=DataflowRunner", "--num_workers=2", "--max_num_workers=20"], 20),
    ],
)
def test_how_many_workers_share_a_stage_is_what_the_options_say(options, count):
    assert workers(options) == count


def test_an_engine_that_does_not_say_has_several_workers():
    assert workers(["--runner=SparkRunner"]) == GUESS > 1


@pytest.mark.parametrize(
    ("options", "is_alone"),
    [
        ([], True),
        (["--runner=DirectRunner", "--direct_num_workers=1"], True),
        (["--direct_num_workers=2"], False),
        (["--direct_num_workers=0"], False),
        (["--direct_running_mode=multi_processing"], False),
        (["--runner=PortableRunner", "--job_endpoint=h:1"], False),
    ],
)
def test_a_job_is_alone_where_this_process_is_its_only_worker(options, is_alone):
    assert alone(options) is is_alone
