import ast
from pathlib import Path

import pytest

from deepfeast.transforms import errors
from deepfeast.transforms.errors import EXIT_CODES, ColumnNotFound, DeepfeastError, did_you_mean

ROOT = Path(__file__).resolve().parents[2]


def kinds(root=DeepfeastError):
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


def made(node):
    """Yield the classes of errors that a statement makes, to raise or to hand to who raises."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            what = call.func
            if isinstance(what, ast.Attribute) and what.attr == "of":
                what = what.value
            yield what.attr if isinstance(what, ast.Attribute) else getattr(what, "id", "")


def test_every_error_is_raised_somewhere():
    found = set()
    for folder in ("transforms", "pipelines"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Raise | ast.Return):
                    found |= set(made(node))
    known = {kind.__name__ for kind in kinds() if kind.__module__ == errors.__name__}
    assert not known - found


def test_every_error_ends_with_a_code_that_is_documented():
    assert {kind.exit_code for kind in kinds()} <= set(EXIT_CODES) - {0, 130, 143}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("FeatureNotFound", 2),
        ("FingerprintMismatch", 2),
        ("TooManyRejects", 65),
        ("ColumnNotFound", 65),
        ("SourceNotFound", 69),
        ("DiskFull", 69),
        ("RunInProgress", 75),
    ],
)
def test_a_schedule_knows_errors_apart_by_their_code(name, code):
    assert getattr(errors, name).exit_code == code


def test_a_column_that_is_not_there_is_told_with_those_that_are():
    error = ColumnNotFound.of("titel", "the labels", ["id", "title"])
    assert str(error) == (
        "no column 'titel' in the labels. It has: id, title. Did you mean 'title'?"
    )
    assert did_you_mean("zzz", ["id", "title"]) == ""
