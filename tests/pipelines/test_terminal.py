import os
import pty
import sys

import pytest

from deepfeast.pipelines.terminal import open_repo, print_run, shown
from deepfeast.transforms.errors import SourceNotFound


def test_a_plain_line_a_stage_where_there_is_no_terminal(capsys):
    with shown("deep") as report:
        report("Encode", 0, 3)
        report("Encode", 3, 3, "40% reused")
    line = capsys.readouterr().err
    assert line.startswith("deep: encode 3 in ")
    assert line.endswith("s (40% reused)\n")


def test_a_share_of_the_time_is_told_by_quarters_and_the_whole_at_the_end(capsys):
    with shown("lift", share=True) as report:
        for done in (10, 240, 260, 300, 120, 270, 510, 1000, 700, 900):
            report("fit", done, 1000)
        told = capsys.readouterr().err.splitlines()
    # More turned out to be left, twice: no quarter is told again, and the end is no guess.
    assert told == [f"lift: {percent} %, about 0 s left" for percent in (25, 50, 75)]
    assert capsys.readouterr().err == "lift: done in 0 s\n"


def test_on_a_terminal_a_share_is_a_bar_in_percent(monkeypatch):
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", os.fdopen(theirs, "w"))
    with shown("lift", share=True) as report:
        report("fit", 523, 1000)
    sys.stderr.flush()
    seen = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "52%" in seen
    assert "1000" not in seen
    assert "/s" not in seen


def test_a_run_is_told_in_a_line_and_its_rejects_below(shirts, capsys):
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "poison"}])
    print_run(shirts.embed(allowed_rejects=0.5))
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("deep: 2 of 2 rows were new: 1 contents encoded, 0 reused")
    assert told[1] == "  poisoned: 1"
    print_run(shirts.embed())
    assert capsys.readouterr().out == "deep: nothing new in 2 rows; nothing committed\n"


def test_a_repo_is_opened_by_its_folder(shirts, tmp_path):
    assert open_repo(shirts.folder).project == "shirts"
    with pytest.raises(SourceNotFound, match="on the command line, with --repo"):
        open_repo(tmp_path)
