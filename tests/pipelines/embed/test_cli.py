import json
import subprocess
import sys

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


def test_embed_says_what_it_did_and_a_rerun_that_nothing_is_new(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "blue shirt"}])
    first = deepfeast("embed", "deep", "--repo", shirts.folder, "--", "--direct_num_workers=1")
    assert first.returncode == 0, first.stderr
    assert "2 of 2 rows were new: 2 contents encoded" in first.stdout
    again = runner.invoke(app, ["embed", "--repo", str(shirts.folder)])
    assert "nothing new in 2 rows" in again.output
    assert "nothing committed" in again.output


def test_a_plan_is_told_and_nothing_is_written(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "red shirt"}])
    words = ["embed", "deep", "--repo", str(shirts.folder), "--plan"]
    told = runner.invoke(app, words)
    assert "2 of 2 rows are new" in told.output
    assert "to encode for vec: 1 contents" in told.output
    (found,) = json.loads(runner.invoke(app, [*words, "--json"]).output)
    assert (found["rows"], found["encode"], found["reused"]) == (2, {"vec": 1}, 1)
    assert not shirts.table.exists()


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
