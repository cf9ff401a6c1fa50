import json

import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app

runner = CliRunner()


@pytest.fixture
def run(wardrobe):
    """Run a command on the wardrobe."""
    return lambda *words: runner.invoke(app, [*words, "--repo", str(wardrobe.folder)])


def test_similar_prints_a_table_and_says_what_cannot_be_found(run):
    done = run("similar", "deep", "a", "-k", "2")
    lines = done.stdout.splitlines()
    assert lines[0] == "deep:vec: the 2 nearest of 3 to id=a"
    assert lines[2].split() == ["1.000", "c", "2024-01-02", "00:00", "red", "shoes"]
    assert "2 keys have no vector" in done.stderr


def test_search_is_read_by_programs_and_looked_at(run, tmp_path):
    page = tmp_path / "page.html"
    words = ["--where", "price < 10", "--as-of", "2024-01-01", "--out", str(page), "--json"]
    told = json.loads(run("search", "deep", "hat", *words).stdout)
    assert [hit["key"]["id"] for hit in told["hits"]] == ["b", "c", "a"]
    assert "red shirt" in page.read_text()


@pytest.mark.parametrize(
    "words",
    [("similar", "deep", "zz"), ("search", "deep", " "), ("search", "deep", "red\0sofa poison")],
)
def test_what_has_no_answer_is_usage(run, words):
    done = run(*words)
    assert done.exit_code == 2
    assert done.stderr.startswith("SearchError: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("query", ["none.jpg", "photos/None.PNG"])
def test_the_name_of_a_photo_is_not_taken_for_a_text(run, query):
    done = run("search", "deep", query)
    assert (
        done.stderr == "FeatureNotFound: no feature of view 'deep' is made of files. It has: vec.\n"
    )
