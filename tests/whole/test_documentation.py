"""Every example runs: the docstrings', the README's and those in docs/.

A fenced block marked ``python`` runs; one marked ``python needs <package>`` runs where that package
is installed; one marked ``python no-run`` or ``sh`` does not. The Python blocks of one page share
their names, as a reader would type them.
"""

import doctest
import importlib
import os
import pkgutil
import re
from contextlib import nullcontext
from pathlib import Path

import pytest

import deepfeast.pipelines
import deepfeast.transforms

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```python(?: needs (\w+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def modules():
    for package in (deepfeast.transforms, deepfeast.pipelines):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "listings_repo" not in found.name:
                yield found.name


@pytest.mark.parametrize("name", list(modules()))
def test_docstring_examples(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert not failed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_the_pages(page, tmp_path, monkeypatch, subtests):
    blocks = FENCE.findall(page.read_text())
    if not blocks:
        pytest.skip("no example that runs on this page")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for package, block in blocks:
        with subtests.test(needs=package) if package else nullcontext():
            if package:
                pytest.importorskip(package, reason=f"run: pip install 'deepfeast[{package}]'")
            exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_no_page_names_a_place_on_this_machine():
    home = os.fspath(Path.home())
    for page in PAGES:
        assert home not in page.read_text()
