"""The page of the benchmarks: it is written from what ran, whatever failed."""

import json
import os
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
GOOD = """
print("2 s against 6 s")
print('RESULT {"benchmark": "good", "ratios": {"slow": 3.0, "fast": 0.5, "near": 1.1},'
      ' "spread": {"slow": [2.5, 3.5], "fast": [0.4, 0.6], "near": [0.9, 1.3]},'
      ' "agree": true, "data": "7 rows", "versions": {"peer": "1.2"}}')
"""
UNEQUAL = """
print('RESULT {"benchmark": "unequal", "ratios": {"slow": 9.0}, "agree": false, "data": "-"}')
raise SystemExit(1)
"""
HANGING = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import page

    return page


def choose(name):
    from _chosen import Chosen

    rows = {"slow": "a slow peer", "fast": "a fast one", "near": "a near one", "none": "absent"}
    return Chosen(name, f"The {name} one", "Who is faster?", rows, "It is simple.", ("--few", "1"))


def test_one_that_fails_loses_no_figures_of_the_others(page, tmp_path, capsys):
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "broken.py").write_text("raise ValueError('no such peer')")
    (tmp_path / "unequal.py").write_text(UNEQUAL)
    chosen = [choose(name) for name in ("broken", "good", "unequal")]
    assert page.main([], chosen, tmp_path, tmp_path) == 1
    assert "[2/3] good" in capsys.readouterr().out
    text = (tmp_path / "benchmarks.md").read_text()
    assert "| a slow peer | 3.00 | 2.50 to 3.50 | deepfeast |" in text
    assert "| a near one | 1.10 | 0.90 to 1.30 | no clear difference |" in text
    assert "- [The good one](#the-good-one): a fast one, 0.50 (0.40 to 0.60)." in text
    assert "This benchmark failed: it ended with status 1: ValueError: no such peer." in text
    assert "| a slow peer | 9.00 | one figure | unknown |" in text
    assert "| peer | 1.2 |" in text
    assert "absent" not in text

    (tmp_path / "broken.py").write_text(GOOD)
    before = json.loads((tmp_path / "benchmarks.json").read_text())["benchmarks"]
    assert page.main(["--only", "broken"], chosen, tmp_path, tmp_path) == 0
    after = json.loads((tmp_path / "benchmarks.json").read_text())["benchmarks"]
    assert after["broken"]["result"]["agree"]
    assert (after["good"], after["unequal"]) == (before["good"], before["unequal"])
    assert "no such peer" not in (tmp_path / "benchmarks.md").read_text()


def test_one_that_hangs_is_ended_with_all_it_started(page, tmp_path, capsys):
    (tmp_path / "hanging.py").write_text(HANGING)
    assert page.main(["--limit", "0.05"], [choose("hanging")], tmp_path, tmp_path) == 1
    state = Path("/proc", capsys.readouterr().out.split("child ")[1].split()[0], "stat")
    assert not state.exists() or state.read_text().split()[2] in "ZX"
    assert "took more than 0.05 minutes" in (tmp_path / "benchmarks.md").read_text()


def test_each_that_is_chosen_is_there_and_takes_its_options(page):
    for one in page.CHOSEN:
        source = (BENCHMARKS / f"{one.name}.py").read_text()
        for word in one.words:
            assert not word.startswith("--") or f'"{word}"' in source, f"{one.name} {word}"
    assert sum(one.seconds for one in page.CHOSEN) < 30 * 60


def test_the_page_that_is_kept_was_written_by_its_template(page, tmp_path):
    docs = BENCHMARKS.parent / "docs"
    (tmp_path / "benchmarks.json").write_bytes((docs / "benchmarks.json").read_bytes())
    assert page.main(["--no-run"], docs=tmp_path) == 0
    assert (tmp_path / "benchmarks.md").read_text() == (docs / "benchmarks.md").read_text()
    assert os.uname().nodename not in (docs / "benchmarks.json").read_text()
