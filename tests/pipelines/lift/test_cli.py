"""The command, from its words to the page."""

import json
import re
import sys
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest
import typer
from sklearn.linear_model import Ridge
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app as commands
from deepfeast.pipelines.lift.cli import lift
from deepfeast.transforms.errors import LiftError, SourceNotFound


@pytest.fixture
def run():
    """Run the command as the command line does."""
    app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
    app.command()(lift)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_the_command(sold, run, tmp_path):
    words = [sold.folder / "labels.parquet", "--repo", sold.folder, "--service", "wear"]
    words += ["--target", "price", "--groups", "seller", "--columns", "size", "--forms", "probe"]
    words += ["--allow-pickle", sold.folder / "ridge.pkl", "--repeats", 1, "--out", tmp_path]
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "Yes: vec helps ridge." in done.output
    assert json.loads((tmp_path / "lift.json").read_text())["verdict"].startswith(
        "Yes: vec helps ridge. ridge: median error 2.83 → 0.345"
    )
    report = tmp_path / "lift.xml"
    gate = ["--require", "helps", "--min-lift", 2, "--junit", report]
    failed = run(*words, "--model", "xgboost", "--json", *gate)
    assert failed.exit_code == 1
    body = json.loads(failed.stdout)
    assert body["questions"] == 4
    assert list(dict.fromkeys(arm["model"] for arm in body["arms"]))[:2] == ["XGBoost", "ridge"]
    assert "required: a gain of 2" in ET.parse(report).find(".//failure").get("message")


def test_progress_goes_where_the_answer_does_not(sold, run, tmp_path):
    words = [sold.folder / "labels.parquet", "--repo", sold.folder, "--service", "wear"]
    words += ["--target", "price", "--forms", "probe", "--repeats", 1, "--most-repeats", 1]
    words += ["--allow-pickle", sold.folder / "ridge.pkl", "--out", tmp_path, "--json"]
    done = run(*words)
    json.loads(done.stdout)
    *quarters, last = done.stderr.splitlines()
    assert re.fullmatch(r"lift: done in \d+ s", last)
    assert quarters
    assert all(re.fullmatch(r"lift: (25|50|75) %, about \d+ s left", line) for line in quarters)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["--forms", "prob"], LiftError, "no form 'prob'.*Did you mean 'probe'"),
        (["--model", "catbost"], LiftError, "no model 'catbost'.*Did you mean 'catboost'"),
        (["--model", "nowhere_at_all:model"], LiftError, "looked for in the working directory"),
        (["--repo", "nowhere"], SourceNotFound, "nowhere"),
    ],
)
def test_what_cannot_be_asked_is_refused(sold, run, words, error, message):
    given = [sold.folder / "labels.parquet", "--repo", sold.folder, "--service", "wear"]
    done = run(*given, "--target", "price", *words)
    assert done.exit_code == 1
    assert isinstance(done.exception, error)
    assert re.search(message, str(done.exception))


def test_numbers_that_make_no_split_are_refused_by_the_option(run, tmp_path):
    done = run(tmp_path / "labels.csv", "--service", "wear", "--target", "price", "--folds", 1)
    assert done.exit_code == 2
    assert "--folds" in done.stderr


class Interrupted(Ridge):
    """A model whose user loses patience."""

    def fit(self, X, y):
        raise KeyboardInterrupt


def test_an_interrupt_says_that_nothing_was_written(sold, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "impatient", SimpleNamespace(model=Interrupted))
    words = [sold.folder / "labels.parquet", "--repo", sold.folder, "--service", "wear"]
    words += ["--target", "price", "--forms", "probe", "--model", "impatient:model"]
    done = CliRunner().invoke(commands, ["lift", *map(str, words), "--out", str(tmp_path)])
    assert done.exit_code == 130
    assert "Interrupted: No report was written" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_gain_that_nobody_requires_is_refused(run, tmp_path):
    done = run(tmp_path / "l.csv", "--service", "wear", "--target", "price", "--min-lift", 1)
    assert done.exit_code == 2
    assert "--min-lift goes with --require helps" in done.stderr


def test_its_help_teaches_by_example(run):
    text = re.sub(r"\s+", " ", run("--help").output)
    assert "deepfeast lift labels.parquet --service price_model --target price" in text
    for option in ("--groups", "--time", "--model", "--allow-pickle", "--encoders", "--json"):
        assert option in text
