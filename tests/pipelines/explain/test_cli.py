import json

import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app

runner = CliRunner()


@pytest.fixture
def run(things):
    """Explain a thing's text."""
    labels = str(things.folder / "labels.parquet")
    about = ["--labels", labels, "--target", "price", "--feature", "text_vec"]
    repo = ["--repo", str(things.folder)]
    return lambda key, *more: runner.invoke(app, ["explain", "deep", key, *about, *more, *repo])


def test_the_strongest_parts_are_told_and_a_page_is_written(run, tmp_path):
    page = tmp_path / "page.html"
    done = run("t03", "-k", "1", "--out", str(page))
    lines = done.stdout.splitlines()
    assert lines[0] == "deep: id t03, of 2024-01-01 00:00"
    assert "It explains " in lines[2]
    assert lines[4].endswith("A luxurious diamond necklace of gold.")
    assert lines[4].startswith("+")
    assert lines[5:] == [f"page: {page}"]
    assert "<mark" in page.read_text()


def test_it_is_read_by_programs(run):
    (text,) = json.loads(run("t03", "--json").stdout)["features"]
    best = max(text["parts"], key=lambda part: abs(part["effect"]))
    assert text["text"][best["start"] : best["end"]] == best["what"]


def test_what_has_no_answer_is_one_line(run):
    done = run("zz")
    assert done.exit_code == 2
    assert done.stderr.startswith("ExplainError: there is no id=zz")
    assert len(done.stderr.splitlines()) == 1
