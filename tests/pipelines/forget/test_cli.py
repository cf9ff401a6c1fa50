"""The command: what it says, and what it leaves to be done."""

import json

from typer.testing import CliRunner

from deepfeast.pipelines.cli import app


def test_what_was_fitted_on_them_is_named_until_it_is_fitted_anew(shirts, tmp_path):
    shirts.declare("tfidf:2")
    shirts.write(
        [{"id": key, "title": f"red {key}s shirt"} for key in ("ann", "bob", "cat", "dan")]
    )
    shirts.embed()
    (tmp_path / "keys.csv").write_text("id\nann\n")
    words = ["forget", "deep", "--keys", str(tmp_path / "keys.csv"), "--repo", str(shirts.folder)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    told = "what 'vec' of version 1 is fitted to: words or directions were learnt on 4 rows"
    assert told in done.output
    assert "deepfeast embed deep --rebuild and then deepfeast vacuum deep --drop 1" in done.output
    assert "page of lift" not in done.output
    shirts.embed(rebuild=True)
    assert CliRunner().invoke(app, ["vacuum", "deep", "--drop", "1", *words[-2:]]).exit_code == 0
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert [one["what"] for one in told["remains"]] == ["1 rows of the raw source 'raw'"]
    states = [*shirts.table.glob("_deepfeast/fitted/*")]
    assert [b"anns" in path.read_bytes() for path in states] == [False]


def test_a_wrong_key_is_an_error_of_data_that_names_its_line(shirts, tmp_path):
    (tmp_path / "keys.csv").write_text('id\nann\n""\n')
    words = ["forget", "deep", "--keys", str(tmp_path / "keys.csv"), "--repo", str(shirts.folder)]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "line 3: no 'id'" in done.output) == (65, True)
    assert not shirts.table.exists()
