"""The package as a whole: what it exports, what importing it costs, how its tree is kept."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import deepfeast.transforms

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "apache_beam", "feast", "transformers", "sklearn", "xgboost", "duckdb", "pandas")


def test_the_public_names_are_these():
    assert deepfeast.transforms.__all__ == [
        "DeepColumns",
        "DeepFeature",
        "DeepViewSpec",
        "EmbedColumns",
        "EmbeddingPCA",
        "Encoder",
        "FeastFeatures",
        "LinearProbe",
        "OnlineFeatures",
        "check_signature",
        "deep_feature_view",
        "get_encoder",
        "load_signature",
        "save_signature",
        "signature",
        "training_frame",
        "training_matrix",
    ]


@pytest.mark.parametrize("name", deepfeast.transforms.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(deepfeast.transforms, name).__doc__


def test_no_public_name_is_that_of_a_module():
    modules = {found.name for found in pkgutil.iter_modules(deepfeast.transforms.__path__)}
    assert not modules & set(deepfeast.transforms.__all__)  # whichever loads first would win


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'embed_columns'"):
        deepfeast.transforms.embed_columns  # noqa: B018


@pytest.mark.parametrize(
    "module",
    [
        "deepfeast.transforms",
        "deepfeast.transforms.views",
        "deepfeast.transforms.encoders",
        "deepfeast.transforms.join",
        "deepfeast.transforms.lookup",
        "deepfeast.pipelines",
        "deepfeast.pipelines.cli",
    ],
)
def test_importing_loads_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def modules():
    for folder in ("transforms", "pipelines"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "listings_repo" not in path.parts:
                yield path


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_why_it_exists(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_the_namespace_is_implicit():
    assert importlib.import_module("deepfeast").__file__ is None
