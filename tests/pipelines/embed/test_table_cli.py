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
