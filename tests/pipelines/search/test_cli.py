import json

import pyarrow.parquet as pq
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


def test_duplicates_are_shown_and_written_for_the_lift(run, tmp_path):
    out, folder = tmp_path / "groups.parquet", tmp_path / "new" / "page"
    words = ["--threshold", "0.999", "--out", str(out), "--page", str(folder)]
    done = run("duplicates", "deep", *words)
    lines = done.stdout.splitlines()
    assert lines[0] == "deep:vec: 2 of 4 rows are near-copies, in 1 groups"
    assert lines[3].split() == ["0", "1.000", "a", "2024-01-01", "00:00", "red", "shirt"]
    assert lines[-2:] == [f"groups: {out}", f"page: {folder / 'duplicates.html'}"]
    assert "red shoes" in (folder / "duplicates.html").read_text()
    groups = pq.read_table(out).to_pydict()
    assert dict(zip(groups["id"], groups["group_size"], strict=True))["c"] == 2
    told = json.loads(run("duplicates", "deep", "--json", *words).stdout)
    assert [row["key"]["id"] for row in told["groups"][0]["rows"]] == ["a", "c"]


@pytest.mark.parametrize(
    "words",
    [
        ("similar", "deep", "zz"),
        ("search", "deep", " "),
        ("search", "deep", "red\0sofa poison"),
        ("duplicates", "deep", "--threshold", "0"),
    ],
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
