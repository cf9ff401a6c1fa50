"""The notebook of the lift: it runs, and shows what it is committed with."""

import copy
import xml.dom.minidom
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "docs" / "examples" / "lift.ipynb"
nbclient = pytest.importorskip("nbclient", reason="run: pip install 'deepfeast[notebook]'")
pytest.importorskip("ipykernel", reason="run: pip install 'deepfeast[notebook]'")


def kinds(notebook):
    """List what each cell of code shows, in order."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[sorted(out.get("data", {"text": 0})) for out in cell.outputs] for cell in cells]


def printed(notebook):
    shown = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return "\n".join(out.get("data", out).get("text/plain", out.get("text", "")) for out in shown)


def test_the_notebook_runs_and_shows_what_was_committed(tmp_path, monkeypatch):
    import nbformat

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # and not the home of who tests
    committed = nbformat.read(PATH, as_version=4)
    nbformat.validate(committed)
    run = copy.deepcopy(committed)
    for cell in run.cells:  # fewer rows and rounds, which the test has the time for
        cell.source = cell.source.replace("listings=300", "listings=80")
        cell.source = cell.source.replace("alone=False", "alone=False, repeats=1, most_repeats=1")
    assert sum(a.source != b.source for a, b in zip(run.cells, committed.cells, strict=True)) == 2
    nbclient.NotebookClient(
        run, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert kinds(run) == kinds(committed)
    assert "handcrafted" in printed(run)
    assert "+ all, shuffled (columns)" in printed(run)


def test_the_committed_notebook_shows_the_verdict_and_pictures_and_is_small():
    import nbformat

    notebook = nbformat.read(PATH, as_version=4)
    assert "helps" in printed(notebook)
    assert "(control)" in printed(notebook)
    drawn = [
        out.data["image/svg+xml"]
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        if "image/svg+xml" in out.get("data", {})
    ]
    assert len(drawn) == 4
    for svg in drawn:
        xml.dom.minidom.parseString(svg)
        assert "var(" not in svg
    assert PATH.stat().st_size < 300_000
    assert all(str(Path.home()) not in text for text in [*drawn, printed(notebook)])
