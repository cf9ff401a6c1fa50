"""What is kept where a trial is stopped; tests/whole/test_try_page.py runs a whole one."""

import numpy as np
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app
from deepfeast.pipelines.start import trial
from deepfeast.pipelines.start.trial import drawn_rows


def test_rows_are_drawn_once_in_order_and_the_same_again():
    rows = drawn_rows(1000, 100, 0)
    assert len(set(rows)) == 100
    assert (np.diff(rows) > 0).all()
    assert (drawn_rows(1000, 100, 0) == rows).all()
    assert drawn_rows(100, 100, 0) is None


def test_ctrl_c_says_what_is_kept_and_that_the_same_command_goes_on(folder, monkeypatch):
    def interrupted(*asked, **how):
        raise KeyboardInterrupt

    monkeypatch.setattr(trial, "apply_here", lambda repo: None)
    monkeypatch.setattr(trial, "embed_all", interrupted)
    words = ["try", str(folder / "shop.csv"), "--target", "price"]
    for _ in range(2):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 130
        assert done.stderr.splitlines()[-1].startswith("Interrupted: Kept: vectors that were")
        assert "The same command goes on from there" in done.stderr
    kept = [one.name for one in (folder / "shop.csv.deepfeast").iterdir()]
    assert len(kept) == 1
    assert kept[0].startswith("repo-")
