import re
import shlex
import subprocess
import sys

import pytest
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


def commands():
    return sorted(
        command.name or command.callback.__name__.replace("_", "-")
        for command in app.registered_commands
    )


@pytest.mark.parametrize("command", commands())
def test_every_command_teaches_by_an_example(command):
    shown = runner.invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert f"deepfeast {command}" in re.sub(r"\s+", " ", shown.output)


def test_the_versions_of_what_matters_are_told():
    done = deepfeast("--version")
    assert re.fullmatch(
        r"deepfeast \S+, feast \S+, apache-beam \S+, Python 3\.\d+\.\d+\n", done.stdout
    )


@pytest.mark.parametrize("command", commands())
def test_the_example_of_every_command_can_be_typed(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = runner.invoke(app, [command, "--help"]).output
    example = re.search(
        rf"Example:\s+deepfeast ({command}\s.*?)(?=\n\n|\n *Options|\Z)", shown, re.S
    )
    # What follows -- is for Beam. An option that is not there is told before the help.
    words = shlex.split(re.split(r"\s--\s", example[1])[0].replace("\\\n", " "))
    done = runner.invoke(app, [*words, "--help"])
    assert done.exit_code == 0, done.output


def test_a_command_that_is_not_there_suggests_the_near_one():
    done = runner.invoke(app, ["lfit"])
    assert done.exit_code == 2
    assert "No such command 'lfit'. Did you mean 'lift'?" in done.output


def test_shells_can_complete_commands():
    complete = {
        "_DEEPFEAST_COMPLETE": "complete_bash",
        "COMP_WORDS": "deepfeast en",
        "COMP_CWORD": "1",
    }
    done = runner.invoke(app, [], env=complete, prog_name="deepfeast")
    assert done.output.split() == ["encoders"]
