"""How commands end, and how much they say."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app
from deepfeast.pipelines.command import exit_code, tell
from deepfeast.pipelines.terminal import listen
from deepfeast.transforms.embeddings.table import EmbeddingTable, embedding_table
from deepfeast.transforms.errors import EncoderError
from deepfeast.transforms.views import find_deep_view

# Counts the letters of words, and sends its own process a signal once a window is encoded.
STOPS = """
import os, signal, time
from deepfeast.transforms.testing import WordLengths

class Stops(WordLengths):
    def encode_batch(self, prepared):
        if self.encoded >= 4096:
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
            time.sleep(60)
        return super().encode_batch(prepared)
"""


def deepfeast(folder, *words):
    return CliRunner().invoke(app, [*words, "--repo", str(folder)])


@pytest.fixture(autouse=True)
def _as_before():
    yield
    listen()


def lines(done):
    return [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["embed", "--nope"], 2, ".*No such option"),
        (["embed", "depp"], 2, "FeatureNotFound: no deep feature view 'depp'.*mean 'deep'"),
        (["rejects", "deep"], 2, "NeverEmbedded: .*Run: deepfeast embed deep"),
        (["versions", "deep", "--log", "yaml"], 2, ".*'yaml' is not one of 'text', 'json'"),
    ],
)
def test_a_mistake_ends_with_one_line_and_its_code(shirts, words, code, message):
    shirts.write([{"id": "a", "title": "red"}])
    done = deepfeast(shirts.folder, *words)
    assert done.exit_code == code
    assert re.match(message, done.stderr, re.DOTALL)
    assert "Traceback" not in done.stderr
    assert not shirts.table.exists()


def test_bad_data_ends_with_65_and_nothing_new_with_0(shirts):
    titles = {"a": "poison", "b": "red shirt", "c": "poison ivy"}
    shirts.write([{"id": key, "title": title} for key, title in titles.items()])
    done = deepfeast(shirts.folder, "embed", "--log", "json")
    assert done.exit_code == 65
    told = lines(done)
    assert [line["stage"] for line in told[:-1]] == ["hash", "encode"]
    assert told[-1]["error"] == "TooManyRejects"
    assert told[-1]["exit_code"] == 65
    accepted = ["embed", "--allowed-rejects", "0.7", "--quiet"]
    file = shirts.folder / "metrics" / "deepfeast.prom"
    done = deepfeast(shirts.folder, *accepted, "--log", "json", "--metrics", str(file))
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert 'deepfeast_embed_rows{project="shirts",view="deep"} 3.0' in file.read_text()
    for _ in range(2):
        done = deepfeast(shirts.folder, *accepted)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_a_source_that_is_gone_ends_with_69_and_a_view_that_is_held_with_75(shirts):
    assert deepfeast(shirts.folder, "embed").exit_code == 69
    shirts.write([{"id": "a", "title": "red shirt"}])
    with embedding_table(shirts.store, find_deep_view(shirts.store, "deep")[0]).held("other"):
        done = deepfeast(shirts.folder, "embed")
    assert done.exit_code == 75
    assert done.stderr.startswith("RunInProgress: view 'deep' is held by run other, process")


@pytest.mark.parametrize(
    ("sent", "code", "name"),
    [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")],
)
def test_a_stopped_run_says_what_is_kept_and_the_next_one_takes_it(
    shirts, monkeypatch, sent, code, name
):
    (shirts.folder / "stops.py").write_text(STOPS)
    monkeypatch.syspath_prepend(shirts.folder)
    shirts.declare("python:stops:Stops?dim=2")
    numbers = range(4200)
    shirts.write([{"id": f"{n}", "title": f"{'x' * (n % 99)}z {'y' * (n // 99)}"} for n in numbers])
    done = subprocess.run(
        [sys.executable, "-m", "deepfeast.pipelines.cli", "embed"],
        capture_output=True,
        text=True,
        check=False,
        cwd=shirts.folder,
        env={**os.environ, "PYTHONPATH": str(shirts.folder), "SIGNAL": str(int(sent))},
        timeout=120,
    )
    assert done.returncode == code
    assert done.stderr.splitlines()[-1] == (
        f"{name}: View 'deep': nothing was committed; 4,096 vectors that were encoded are kept, "
        f"and the next run reuses them."
    )
    assert "Traceback" not in done.stderr
    shirts.declare("python:deepfeast.transforms.testing:WordLengths?dim=2")
    assert shirts.embed().encoded == 104
    assert len(shirts.rows()) == 4200


def test_an_interrupt_right_after_the_commit_leaves_the_table_whole(shirts, monkeypatch):
    publish = EmbeddingTable.publish

    def publish_and_stop(*args, **kwargs):
        publish(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(EmbeddingTable, "publish", publish_and_stop)
    shirts.write([{"id": "a", "title": "red shirt"}])
    with pytest.raises(KeyboardInterrupt) as stop:
        shirts.embed()
    assert stop.value.__notes__ == ["View 'deep': the run was committed."]
    assert shirts.vectors() == {"a": [3, 5]}


def test_what_nobody_expected_ends_with_1_and_says_how_to_learn_more(capsys):
    listen()
    with pytest.raises(ZeroDivisionError) as fault:
        1 / 0  # noqa: B018
    tell(fault.value, verbose=False)
    assert capsys.readouterr().err == (
        "ZeroDivisionError: division by zero (unexpected; --verbose shows where)\n"
    )
    tell(fault.value, verbose=True)
    told = capsys.readouterr().err
    assert told.startswith("Traceback")
    assert "1 / 0" in told
    assert exit_code(fault.value) == 1


def test_a_server_that_does_not_answer_is_unreachable(shirts):
    redis = pytest.importorskip("redis")
    with pytest.raises(redis.ConnectionError) as fault:
        redis.Redis(port=1).ping()
    assert exit_code(fault.value) == 69
    assert exit_code(EncoderError("no weights")) == 69


def test_the_list_of_commands_cuts_nobody_short():
    told = CliRunner().invoke(app, ["--help"]).stdout
    assert "..." not in told.partition("Commands:")[2]
    assert "One file in, a verdict out." in " ".join(told.split())
