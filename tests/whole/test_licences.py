"""The page of licences: what it names is what constraints.txt pins, read from metadata."""

import importlib.util
import re
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def licences():
    spec = importlib.util.spec_from_file_location("licences", ROOT / "docs" / "licences.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_names_what_is_pinned_each_with_a_licence(licences):
    lines = [line for line in licences.PAGE.read_text().splitlines() if line.startswith("| ")][2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    listed = {licences.plain(name): version.partition("+")[0] for name, version, _ in rows}
    pins = [line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines()[1:]]
    pinned = {licences.plain(name): version for name, version in pins}
    assert listed.items() <= pinned.items(), "run: make licences"
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.match(r"[\w-]+", line)[0] for line in asked} <= listed.keys()
    assert all(licence and licence != "not stated" for _, _, licence in rows)


class Package(Distribution):
    def __init__(self, text):
        self.text = text

    def read_text(self, filename):
        return self.text

    def locate_file(self, path):
        raise NotImplementedError


@pytest.mark.parametrize(
    "told, expected",
    [
        ("License-Expression: MIT\nLicense: other", "MIT"),
        ("License: Apache 2.0", "Apache-2.0"),
        ("License: BSD\nClassifier: License :: OSI Approved :: BSD License", "BSD"),
        (
            f"License: {'All rights. ' * 9}\nClassifier: License :: OSI Approved :: MIT License",
            "MIT",
        ),
        ("Name: x", "not stated"),
    ],
)
def test_older_metadata_is_understood(licences, told, expected):
    assert licences.licence(Package(told)) == expected
