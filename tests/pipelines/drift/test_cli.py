import json

import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app

LATER = "2024-03-01.."
NEW = "2024-02-01..2024-02-29"
OLD = "2024-01-01..2024-01-31"

runner = CliRunner()


@pytest.fixture
def run(shop):
    """Compare January with another window."""
    words = ["drift", "deep", "--reference", OLD, "--groups", "seller", "--repo", str(shop.folder)]
    return lambda recent, *more: runner.invoke(app, [*words, "--recent", recent, *more])


def test_an_unchanged_window_ends_with_nought(run):
    done = run(NEW)
    assert done.exit_code == 0
    assert done.stdout.startswith("deep: no drift")
    assert "It cannot see" in done.stdout


def test_drift_ends_with_one_and_is_written_for_people_and_programs(run, shop, tmp_path):
    labels = tmp_path / "labels.parquet"
    shop.labels.to_parquet(labels)
    words = ["--labels", str(labels), "--target", "price", "--out", str(tmp_path / "page.html")]
    done = run(LATER, "--junit", str(tmp_path / "junit.xml"), *words)
    assert done.exit_code == 1
    assert "moves the prediction" in done.stdout
    assert "x" * 40 in (tmp_path / "page.html").read_text()
    assert 'failures="0"' not in (tmp_path / "junit.xml").read_text()
    told = json.loads(run(LATER, "--json", *words).stdout)
    assert told["alarm"]
    assert len(told["unusual"]["vec"]) == 10


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("2024-02-01",), "the window '2024-02-01' is none"),
        (("2030-01-01..",), "has no rows"),
        ((NEW, "--groups", "selller"), "nothing called 'selller'"),
        ((NEW, "--feature", "vecc"), "vecc"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_no_alarm(run, words, told):
    done = run(*words)
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
