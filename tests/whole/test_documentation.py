"""Every example runs: the docstrings', the README's and those in docs/.

A fenced block marked ``python`` runs; one marked ``python needs <package>`` runs where that package
is installed. One marked ``python no-run`` must be Python, and one marked ``sh`` must call commands
that are there, with options that they have. The Python blocks of one page share their names, as a
reader would type them.
"""

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

import deepfeast.pipelines
import deepfeast.transforms
from deepfeast.pipelines.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```python(?: needs (\w+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)
UNRUN = re.compile(r"^```python no-run\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = getattr(get_command(app), "commands")  # noqa: B009 - a group has them


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
def test_what_does_not_run_is_python_all_the_same(page):
    for block in UNRUN.findall(page.read_text()):
        compile(block, str(page), "exec")


def commands_of(page):
    """List the calls of deepfeast in a page's shell blocks, each as its words."""
    for block in SHELL.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "deepfeast":
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_there_with_the_options_they_are_given(page):
    for name, *words in commands_of(page):
        if name.startswith("-"):
            continue
        assert name in COMMANDS, f"deepfeast {name}"
        known = {option for found in COMMANDS[name].params for option in found.opts}
        known |= {option for found in COMMANDS[name].params for option in found.secondary_opts}
        own = words[: words.index("--")] if "--" in words else words
        given = {word.split("=")[0] for word in own if word.startswith("--")}
        assert given <= known | {"--help"}, f"deepfeast {name}"


def test_every_page_stands_in_the_nav_of_the_site_once():
    def pages(part):
        if isinstance(part, str):
            yield part
        else:
            for inner in part.values() if isinstance(part, dict) else part:
                yield from pages(inner)

    listed = list(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    written = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert len(listed) == len(set(listed))
    assert written - set(listed) == set(), "name them under nav in mkdocs.yml"


@pytest.mark.parametrize("name", deepfeast.transforms.__all__)
def test_the_reference_tells_each_public_name_and_how_it_is_called(name):
    page = (ROOT / "docs" / "reference.md").read_text()
    (told,) = [part for part in page.split("\n## ") if part.startswith(f"{name}\n")]
    call = re.search(r"```text\n(.*?)```", told, re.DOTALL)[1]
    home = importlib.import_module(f"deepfeast.transforms.{deepfeast.transforms._HOME[name]}")
    signature = inspect.signature(getattr(home, name))
    assert call.startswith(f"{name}(")
    if name != "Encoder":  # an abstract class: nobody calls it
        assert set(signature.parameters) - {"args", "kwargs"} <= set(re.findall(r"\w+", call))


def test_the_glossary_has_every_word_once_in_order():
    text = (ROOT / "docs" / "contributing" / "words.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)[1:]
    words = [word for row in rows for word in row.split(", ")]
    assert rows[1:] == sorted(rows[1:])
    assert len(words) == len(set(words)) > 40


@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_the_configurations_of_online_stores_are_ones(kind, monkeypatch):
    from feast.repo_config import RepoConfig

    text = (ROOT / "docs" / "howto" / "online_stores.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (block,) = [found for found in blocks if f"type: {kind}" in found]
    pytest.importorskip({"redis": "redis", "postgres": "psycopg"}[kind])
    online = RepoConfig(**yaml.safe_load(block)).online_store
    assert online.type == kind


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_no_page_names_a_place_on_this_machine():
    home = os.fspath(Path.home())
    for page in PAGES:
        assert home not in page.read_text()
