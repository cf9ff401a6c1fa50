import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app

runner = CliRunner()


def deepfeast(*words):
    return subprocess.run(
        [sys.executable, "-m", "deepfeast.pipelines.cli", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def commands():
    return sorted(
        command.callback.__name__.replace("_", "-") for command in app.registered_commands
    )


@pytest.mark.parametrize("command", commands())
def test_every_command_teaches_by_an_example(command):
    shown = runner.invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"deepfeast {command}" in re.sub(r"\s+", " ", shown.output)


def test_embed_says_what_it_did_and_a_rerun_that_nothing_is_new(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "blue shirt"}])
    first = deepfeast("embed", "deep", "--repo", shirts.folder, "--", "--direct_num_workers=1")
    assert first.returncode == 0, first.stderr
    assert "2 of 2 rows were new: 2 contents encoded" in first.stdout
    again = runner.invoke(app, ["embed", "--repo", str(shirts.folder)])
    assert "nothing new in 2 rows; nothing committed" in again.output


def test_runs_and_rejects_can_be_read_by_programs(shirts):
    shirts.write([{"id": "a", "title": "poison"}, {"id": "b", "title": "blue shirt"}])
    shirts.embed(allowed_rejects=0.5)
    repo = str(shirts.folder)
    (run,) = json.loads(runner.invoke(app, ["runs", "deep", "--repo", repo, "--json"]).output)
    assert (run["rows"], run["rejected"]) == (2, 1)
    (reject,) = json.loads(runner.invoke(app, ["rejects", "deep", "--repo", repo, "--json"]).output)
    assert (reject["id"], reject["reason"]) == ("a", "poisoned")


def test_compacting_says_what_it_did_and_is_no_run(shirts):
    repo = ["deep", "--repo", str(shirts.folder)]
    for title in ("red", "blue"):
        shirts.write([{"id": "a", "title": title}])
        shirts.embed()
    told = runner.invoke(app, ["compact", *repo]).output
    assert told.startswith("deep: 2 data files are 1 now; nothing to delete; left to those who")
    told = runner.invoke(app, ["vacuum", *repo, "--keep-hours", "0"]).output
    assert told.startswith("deep: deleted 2 replaced files, 2 entries of the log (")
    found = json.loads(runner.invoke(app, ["runs", *repo, "--json"]).output)
    assert [(one["kind"], one["rows"]) for one in found] == [
        ("compact", None),
        ("run", 1),
        ("run", 1),
    ]


def test_what_a_program_reads_is_one_line_a_run(shirts):
    shirts.write([{"id": "a", "title": "blue shirt"}])
    run = shirts.embed()
    head, line = runner.invoke(app, ["runs", "deep", "--repo", str(shirts.folder)]).output.split(
        "\n", 1
    )
    assert head.split()[:4] == ["version", "time", "kind", "run"]
    assert line.split()[3] == run.run_id


def test_a_runner_that_loses_rows_is_refused(shirts):
    shirts.write([{"id": "a", "title": "red"}])
    words = ["embed", "deep", "--repo", str(shirts.folder), "--", "--runner=DaskRunner"]
    done = runner.invoke(app, words)
    assert done.exit_code == 2
    assert done.stderr.startswith("SpecError: DaskRunner is refused")


def test_a_folder_that_is_no_repo_is_named(tmp_path):
    done = deepfeast("embed", "--repo", tmp_path)
    assert done.returncode == 69
    assert done.stderr.startswith("SourceNotFound: no Feast repo in")


def test_the_versions_of_what_matters_are_told():
    done = deepfeast("--version")
    assert re.fullmatch(
        r"deepfeast \S+, feast \S+, apache-beam \S+, Python 3\.\d+\.\d+\n", done.stdout
    )


@pytest.mark.parametrize("command", ["runs", "rejects", "versions", "compact", "vacuum"])
def test_what_a_registry_file_answers_is_answered_without_feast(shirts, command):
    shirts.write([{"id": "a", "title": "red shirt"}])
    shirts.embed()
    code = """if True:
        import sys
        from deepfeast.pipelines.cli import main
        try:
            main()
        finally:
            print("feast" in sys.modules, "torch" in sys.modules, "apache_beam" in sys.modules)
    """
    words = [sys.executable, "-c", code, command, "deep", "--repo", str(shirts.folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False False False"


def test_a_view_that_is_not_there_is_told_without_feast_too(shirts):
    done = deepfeast("runs", "depp", "--repo", shirts.folder)
    assert done.returncode == 2
    assert re.match("FeatureNotFound: no deep feature view 'depp'.*'deep'", done.stderr)
