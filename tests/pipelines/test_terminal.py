import contextlib
import csv
import io
import json
import os
import pty
import sys
from datetime import datetime, timezone

import pyarrow as pa
import pytest

from deepfeast.pipelines.terminal import open_repo, print_rejects, print_run, reject_lines, shown
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
    sys.stderr.close()
    # A terminal hands over what was written in pieces.
    seen = ""
    with contextlib.suppress(OSError):
        while piece := os.read(ours, 100_000):
            seen += piece.decode()
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


def rejects(*rows):
    names = ["id", "at", "column", "feature", "reason", "message", "hash", "run_id"]
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    return table.append_column("created_timestamp", pa.nulls(len(rows), pa.timestamp("us")))


MAY = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
SOME = rejects(
    ("a", MAY, "photo", "vec", "image_truncated", "it ends\nearly", b"h", "r1"),
    ("b", MAY, "title", "txt", "text_blank", "nothing but blanks", None, "r1"),
    ("c", None, "", "", "text_blank", "and, a comma", None, "r2"),
)


def test_rejects_are_one_line_each_where_a_program_reads_them(capsys):
    print_rejects("deep", SOME)
    assert capsys.readouterr().out.splitlines() == [
        "text_blank\tid=b\t2024-05-01 12:00:00\tcolumn title\tnothing but blanks",
        "text_blank\tid=c\t\t\tand, a comma",
        "image_truncated\tid=a\t2024-05-01 12:00:00\tcolumn photo\tit ends early",
    ]


def test_rejects_as_csv_and_json_hold_all_that_is_known(capsys):
    print_rejects("deep", SOME, as_csv=True)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["message"] for row in rows] == [
        "nothing but blanks",
        "and, a comma",
        "it ends\nearly",
    ]
    assert rows[2]["run_id"] == "r1"
    print_rejects("deep", SOME, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told[0]["at"], told[1]["at"]) == ("2024-05-01 12:00:00+00:00", None)


def test_without_rejects_each_form_says_so(capsys):
    print_rejects("deep", None)
    assert capsys.readouterr().out == "deep: no rejects\n"
    print_rejects("deep", None, as_json=True)
    assert json.loads(capsys.readouterr().out) == []
    print_rejects("deep", None, as_csv=True)
    assert capsys.readouterr().out.strip() == ""


def test_on_a_terminal_rejects_stand_under_their_reason_and_no_line_is_too_long():
    long = {
        "id": "x" * 90,
        "at": MAY,
        "column": "title",
        "reason": "poisoned",
        "message": "poison " * 30,
    }
    lines = list(reject_lines([*SOME.to_pylist()[1:], long, long], 80))
    assert lines[:3] == [
        "text_blank: 2",
        "  id=b  2024-05-01 12:00:00  column title  nothing but blanks",
        "  id=c  and, a comma",
    ]
    assert lines[3] == "poisoned: 2"
    assert max(map(len, lines)) <= 80
    assert " ".join(lines[5:8]).split() == ["poison"] * 30
