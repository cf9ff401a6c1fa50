"""The command, as its help shows it."""

import json

from typer.main import get_command
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app


def test_the_example_of_the_help_works(vector_closet):
    closet = vector_closet
    closet.wear("red shirt", "a hat")
    help_text = get_command(app).commands["export"].help  # type: ignore[attr-defined]
    (example,) = (line for line in help_text.splitlines() if line.startswith("Example: deepfeast "))
    words = example.removeprefix("Example: deepfeast ").split()
    closet.warehouse.run("DROP TABLE IF EXISTS public.listing_vectors")
    words = ["deep" if word == "listing_deep" else word for word in words]
    words[words.index("shop")] = str(closet.shirts.folder)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "deep: 2 rows of 1 run are in postgres://127.0.0.1:" in done.output
    found = closet.warehouse.run("SELECT vec::text FROM public.listing_vectors ORDER BY id")
    closet.warehouse.run("DROP TABLE public.listing_vectors")
    assert found == [("[1,3]",), ("[3,5]",)]


def test_a_source_of_the_repo_and_json(closet):
    closet.wear("a hat")
    source = closet.warehouse.source("vectors", time="at", created_timestamp_column="made")
    closet.shirts.store.apply([source])
    words = ["export", "deep", "--to", "vectors", "--json", "--repo", str(closet.shirts.folder)]
    told = json.loads(CliRunner().invoke(app, words).stdout)
    assert (told["rows"], told["version"], len(told["runs"])) == (1, 1, 1)
    assert closet.there("id, at = '2024-01-01Z'") == [("a hat", True)]


def test_nothing_of_that_name(closet):
    closet.wear("a hat")
    words = ["export", "deep", "--repo", str(closet.shirts.folder), "--to"]
    for to, told in (("ra", "Did you mean 'raw'?"), ("raw", "lies in files: an export is for a")):
        done = CliRunner().invoke(app, [*words, to])
        assert (done.exit_code, told in done.output) == (2, True), done.output
