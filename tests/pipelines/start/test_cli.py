"""How the commands of the start speak; test_bad_input.py has what they say of odd tables."""

import os
import pty
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app
from deepfeast.pipelines.start import cli


def test_init_ends_with_the_next_three_commands(folder):
    words = ["init", str(folder / "repo"), "--table", str(folder / "shop.csv"), "--target", "price"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    said = done.stdout.split("Next:\n")[1].split("\n")
    assert [line.split()[:2] for line in said if line] == [
        ["deepfeast", "run"],
        ["deepfeast", "lift"],
        ["python", str(folder / "repo" / "shop_look_up.py")],
    ]


def test_quiet_says_what_was_asked_for_alone_and_no_colour_is_none(folder):
    words = ["init", str(folder / "repo"), "--table", str(folder / "shop.csv"), "--quiet"]
    done = CliRunner().invoke(app, words, env={"NO_COLOR": "1"})
    assert done.stdout.splitlines()[0] == f"  deepfeast run --repo {folder / 'repo'}"
    assert done.stderr == ""


def test_an_encoder_that_is_not_there_is_told_before_anything_is_written(folder):
    words = ["init", str(folder / "repo"), "--table", str(folder / "shop.csv")]
    done = CliRunner().invoke(app, [*words, "--text-encoder", "text-tony"])
    assert done.exit_code == 2
    assert "Did you mean 'text-tiny'" in done.stderr
    assert not (folder / "repo").exists()


def test_a_large_table_shows_how_far_it_is_read(folder, monkeypatch):
    monkeypatch.setattr(cli, "LARGE", 100)
    words = ["init", str(folder / "repo"), "--table", str(folder / "shop.csv")]
    done = CliRunner().invoke(app, words)
    assert done.stderr.splitlines()[0].startswith("look at the table: done in ")


@pytest.mark.slow
def test_on_a_terminal_the_target_is_asked_for(folder):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "deepfeast.pipelines.cli",
            "try",
            "shop.csv",
            "--skip",
            "description",
        ],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "NO_COLOR": "1", "TERM": "dumb"},
    )
    os.close(theirs)
    os.write(ours, b"99\n1\n")
    told = b""
    while True:
        try:
            told += os.read(ours, 4096)
        except OSError:  # its end is closed
            break
    assert process.wait(timeout=60) == 2
    said = told.decode()
    assert "What is to be predicted?" in said
    assert "1  price" in said
    assert "A number from 1 to 3." in said
    assert "nothing to embed" in said
    assert "\x1b[" not in said
