import duckdb
import pyarrow as pa
import pytest

from deepfeast.pipelines.embed.plan import Columns
from deepfeast.pipelines.embed.rejects import gather_rejects, judge, tell
from deepfeast.transforms.errors import TooManyRejects
from deepfeast.transforms.features import DeepFeature

TITLE = DeepFeature("t", column="title", encoder="any")
TEXT = DeepFeature("x", column="text", encoder="any")
COLUMNS = Columns(("id", "at"), ("t", "x"))
FIELDS = ("id", "at", "column", "feature", "reason", "message")


def relation(session, names, *rows):
    return session.from_arrow(pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))))


@pytest.fixture
def rejects():
    """Of the new rows a and b: both have the title R, which was rejected once, for a."""
    with duckdb.connect() as session:
        rows = relation(
            session, ("id", "at", "t_hash", "x_hash"), ("a", 1, b"R", b"G"), ("b", 1, b"R", None)
        )
        unread = relation(
            session,
            FIELDS,
            ("b", 1, "text", "x", "not_text", "a number"),
            ("old", 1, "text", "x", "not_text", "on record already"),
            ("", 1, "", "", "key_missing", "no key"),
        )
        unencoded = relation(
            session, (*FIELDS, "hash"), ("a", 1, "title", "t", "poisoned", "poison", b"R")
        )
        groups = [[TITLE, TEXT]]
        yield gather_rejects(rows, unread, unencoded, groups, COLUMNS).to_arrow_table()


def test_every_new_row_that_holds_a_bad_content_has_its_reject(rejects):
    assert [(row["id"], row["column"], row["reason"]) for row in rejects.to_pylist()] == [
        ("", "", "key_missing"),
        ("a", "title", "poisoned"),
        ("b", "text", "not_text"),
        ("b", "title", "poisoned"),
    ]


def test_rejects_are_counted_by_reason_with_examples(rejects):
    found = tell(rejects, ["id"])
    assert (found.cells, found.contents, found.unread) == (4, 1, 2)
    assert found.reasons["poisoned"] == {
        "count": 2,
        "examples": ["id=a, column 'title': poison", "id=b, column 'title': poison"],
    }


def test_a_share_is_allowed_and_no_more(rejects):
    found = tell(rejects, ["id"])
    judge("deep", found, 3, 0.8)
    with pytest.raises(TooManyRejects, match=r"4 of 5 .* \(80.0%, allowed 79.0%\); .* poisoned:"):
        judge("deep", found, 3, 0.79)
