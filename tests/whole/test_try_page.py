"""docs/try.md, word for word, as a reader types it; and the commands that it ends with."""

import contextlib
import io
import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "try.md"
BLOCK = re.compile(r"^```(sh|python)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def typed(kind, text):
    """Do in this process what a reader does: Python as it is, and one command of a shell."""
    if kind == "python":
        exec(compile(text, str(PAGE), "exec"), {"__name__": "__main__"})
        return ""
    program, *words = shlex.split(text)
    if program == "deepfeast":
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{text}\n{done.output}"
        return done.stdout
    assert program == "python"
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
        patch.setattr(sys, "argv", words)
        runpy.run_path(words[0], run_name="__main__")
    return told.getvalue()


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """The folder of a reader who has typed the whole page, and what each block said."""
    folder = tmp_path_factory.mktemp("reader")
    blocks = BLOCK.findall(PAGE.read_text())
    with contextlib.chdir(folder):
        return folder, {text.strip(): typed(kind, text) for kind, text in blocks}


def said(read, begins):
    return next(told for text, told in read[1].items() if text.startswith(begins))


@pytest.mark.slow
def test_the_page_shows_what_is_said_of_the_table(read):
    shown = re.search(r"```text\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    told = said(read, "deepfeast try").replace(str(read[0].resolve()), "…")
    assert told[: len(shown)] == shown


@pytest.mark.slow
def test_the_verdict_is_on_the_page_and_in_the_words_of_a_table(read):
    told = said(read, "deepfeast try")
    assert "Yes: " in told
    assert "deepfeast init furniture_repo --table furniture.csv --target price" in told
    found = json.loads((read[0] / "furniture.csv.deepfeast" / "lift" / "lift.json").read_text())
    assert any("The table has no column of times." in note for note in found["notes"])
    assert not any("event_timestamp" in note for note in found["notes"])


@pytest.mark.slow
def test_one_row_is_looked_up_in_the_columns_of_the_training_frame(read):
    assert "150 of 150 rows were new: 0 contents encoded" in said(read, "deepfeast run")
    assert re.match(r"width_cm +\d+\.0+\ndrawers ", said(read, "python furniture_repo"))
    with pytest.raises(SystemExit, match="nothing is online of f999"):
        typed("python3", f"python {read[0]}/furniture_repo/furniture_look_up.py f999")


@pytest.mark.slow
def test_the_printed_commands_are_those_of_the_page_and_of_the_command_line(read):
    told = said(read, "deepfeast init").split("Next:\n")[1].splitlines()
    run, lift, look_up = (line.strip() for line in told)
    assert not lift.endswith("--log-target")
    assert run in read[1]
    assert look_up in read[1]
    words = shlex.split(lift)
    assert (read[0] / words[2]).is_file()
    done = CliRunner().invoke(app, [*words[1:], "--help"])
    assert done.exit_code == 0
