import pytest

from deepfeast.transforms import errors
from deepfeast.transforms.errors import EXIT_CODES, ColumnNotFound, DeepfeastError, did_you_mean


def kinds(root=DeepfeastError):
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


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
