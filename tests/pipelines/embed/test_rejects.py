import duckdb
import pyarrow as pa
import pytest

from deepfeast.pipelines.embed.plan import Columns
from deepfeast.pipelines.embed.rejects import Found, gather_rejects, judge, tell
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
        yield gather_rejects(rows, unread, unencoded, groups, COLUMNS)


def test_every_new_row_that_holds_a_bad_content_has_its_reject(rejects):
    assert [
        (row["id"], row["column"], row["reason"]) for row in rejects.to_arrow_table().to_pylist()
    ] == [
        ("", "", "key_missing"),
        ("a", "title", "poisoned"),
        ("b", "text", "not_text"),
        ("b", "title", "poisoned"),
    ]


def test_rejects_are_counted_by_reason_with_examples(rejects):
    found = tell(rejects, ["id"])
    assert (found.cells, found.contents, found.unread, found.left_out) == (4, 1, 1, 1)
    assert found.reasons["poisoned"] == {
        "count": 2,
        "examples": ["id=a, column 'title': poison", "id=b, column 'title': poison"],
    }
    assert found.reasons["key_missing"]["examples"] == ["id=: no key"]


def test_a_share_is_allowed_and_no_more(rejects):
    found = tell(rejects, ["id"])
    judge("deep", found, 3, 1, 0.75)
    with pytest.raises(TooManyRejects, match=r"3 of 4 .* \(75.0%, allowed 74.0%\); .* poisoned:"):
        judge("deep", found, 3, 1, 0.74)


def test_rows_that_were_left_out_are_a_share_of_all_rows_not_of_the_new_ones():
    found = Found(2, 0, 0, 2, {"time_missing": {"count": 2, "examples": ["row 7 has no time"]}})
    judge("deep", found, 0, 40, 0.05)
    with pytest.raises(TooManyRejects, match=r"2 of 39 rows of the source .* row 7 has no time"):
        judge("deep", found, 0, 39, 0.05)


def test_one_reject_alone_stops_a_run_only_where_none_is_allowed():
    found = Found(1, 1, 0, 0, {"poisoned": {"count": 1, "examples": ["id=a: poison"]}})
    judge("deep", found, 1, 100, 0.05)
    with pytest.raises(TooManyRejects):
        judge("deep", found, 1, 100, 0)
