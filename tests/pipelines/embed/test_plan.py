"""The plan, relation in and relation out; and at the size of a large table, in how much memory."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.embed.plan import (
    Columns,
    contents_to_encode,
    count_contents,
    new_rows,
    of_same_row,
    one_a_row,
    places,
    repeated,
)
from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.files.slices import EVENT_TIME

TITLE = Columns(("id", "day"), ("title",))
BOTH = Columns(("id", "day"), ("title", "text"))


@pytest.fixture
def session():
    with duckdb.connect() as session:
        yield session


def hashed(session, *rows, names=("id", "day", "title_hash")):
    """Rows of a key, a time and hashes, as relation; each is a row of slice 0."""
    given = dict(zip(names, zip(*rows, strict=True), strict=True))
    columns = {"source_created": [None] * len(rows), **given}
    numbers = {"slice": [0] * len(rows), "row": list(range(len(rows)))}
    return session.from_arrow(pa.table({**numbers, **columns}))


def seen(relation, *names):
    return relation.project(", ".join(names)).order(", ".join(names)).fetchall()


def test_a_row_that_is_twice_counts_once(session):
    rows = hashed(session, ("a", 1, "red"), ("a", 1, "red"), ("b", 1, "red"))
    assert seen(one_a_row(rows, TITLE, "raw"), "id", "row") == [("a", 0), ("b", 2)]


def test_rows_of_one_key_and_time_are_noticed_whatever_they_hold(session):
    assert not repeated(hashed(session, ("a", 1, "red"), ("a", 2, "red"), ("b", 1, "red")), TITLE)
    assert repeated(hashed(session, ("a", 1, "red"), ("b", 1, "red"), ("a", 1, "red")), TITLE)


def test_rows_of_the_same_key_and_time_are_kept(session):
    rows = hashed(session, ("a", 1, "red"), ("b", 1, "blue"), ("c", 2, "blue"))
    others = hashed(session, ("a", 1, "grey"), ("a", 1, "tan"), ("c", 1, "blue"))
    assert seen(of_same_row(rows, others, TITLE), "id") == [("a",)]


def test_the_later_of_two_rows_is_the_one_that_was_created_later(session):
    rows = hashed(
        session,
        ("a", 1, "blue", 9),
        ("a", 1, "red", 3),
        ("a", 1, "grey", None),
        names=("id", "day", "title_hash", "source_created"),
    )
    assert seen(one_a_row(rows, TITLE, "raw"), "id", "title_hash") == [("a", "blue")]


def test_rows_that_contradict_each_other_are_named(session):
    rows = hashed(session, ("a", 1, "blue"), ("a", 1, "red"), ("b", 1, "red"))
    with pytest.raises(SourceError, match=r"source 'raw' .* says which is later: a, 1. Give"):
        one_a_row(rows, TITLE, "raw")


def test_rows_of_the_table_are_no_news_unless_they_changed_since(session):
    table = pa.table(
        {
            "id": ["a", "b", "c", "c"],
            "day": [1, 1, 1, 1],
            "title_hash": ["red", "red", "red", "blue"],
            "created_timestamp": [1, 1, 1, 2],
        }
    )
    rows = hashed(
        session,
        ("a", 1, "red"),  # as it is
        ("b", 1, None),  # no title any more
        ("c", 1, "red"),  # as it once was
        ("a", 2, "red"),  # of another time
        names=("id", "day", "title_hash"),
    )
    news = new_rows(rows, session.from_arrow(table), TITLE)
    assert seen(news, "id", "day") == [("a", 2), ("b", 1), ("c", 1)]


def test_a_missing_content_that_stays_missing_is_no_news(session):
    none = pa.nulls(1, pa.string())
    table = pa.table({"id": ["a"], "day": [1], "title_hash": none, "created_timestamp": [1]})
    rows = hashed(session, ("a", 1, None), names=("id", "day", "title_hash"))
    assert seen(new_rows(rows, session.from_arrow(table), TITLE), "id") == []


def test_contents_are_counted_where_there_are_some(session):
    names = ("id", "day", "title_hash", "text_hash")
    rows = hashed(session, ("a", 1, "red", None), ("b", 1, None, None), names=names)
    assert count_contents(rows, BOTH) == (2, 1)
    assert count_contents(rows.filter("id = 'z'"), BOTH) == (0, 0)


def test_each_content_is_encoded_where_it_first_stands(session):
    rows = hashed(
        session,
        ("a", 1, "red", "hat"),
        ("b", 1, "blue", "red"),
        ("c", 1, "red", None),
        names=("id", "day", "title_hash", "text_hash"),
    )
    found = contents_to_encode(rows, None, BOTH)
    # Features are asked in the order of their names.
    assert seen(found, "feature", "hash", "row") == [
        ("text", "hat", 0),
        ("text", "red", 1),
        ("title", "blue", 1),
    ]
    known = session.sql("select 'red' as hash union all select 'hat'")
    assert seen(contents_to_encode(rows, known, BOTH), "feature", "hash") == [("title", "blue")]


def test_each_row_learns_where_its_vectors_lie(session):
    names = ("id", "day", "title_hash", "text_hash")
    rows = hashed(session, ("a", 1, "red", "red"), ("b", 1, "blue", None), names=names)
    spill = session.sql("select 'red' as hash, (3::bigint << 32) + 7 as place")
    found = places(rows, {"title": spill, "text": spill})
    where = 3 * 2**32 + 7
    assert found.project("id, title_place, text_place").fetchall() == [
        ("a", where, where),
        ("b", None, None),
    ]


def test_names_of_any_kind_are_columns(session):
    odd = Columns(('the "id"', "o'clock"), ("t",))
    table = pa.table({'the "id"': ["a"], "o'clock": [1], "t_hash": ["red"]})
    rows = session.from_arrow(table).project('0 as slice, 0 as "row", null as source_created, *')
    rows = one_a_row(rows, odd, "raw")
    held = session.from_arrow(table).project("2 as created_timestamp, *")
    assert new_rows(rows, held, odd).fetchall() == []
    assert len(contents_to_encode(rows, None, odd).fetchall()) == 1


HELD = 2_000_000
NEW = 20_000


def hashes(numbers):
    """Turn numbers into hashes: 16 bytes whose first eight say which."""
    pairs = np.stack([numbers, np.zeros_like(numbers)], axis=1).astype(np.int64)
    return pa.Array.from_buffers(pa.binary(16), len(numbers), [None, pa.py_buffer(pairs.tobytes())])


def plan_of(folder):
    """Look 20,000 rows up among two million; every second content is held under another key."""
    import resource

    from deepfeast.pipelines.embed.folder import Spill
    from deepfeast.pipelines.embed.reuse import reuse
    from deepfeast.pipelines.embed.session import opened, parquet

    table, spill = ds.dataset(folder / "table"), Spill(folder / "spill")
    columns = Columns(("id", "event_timestamp"), ("vec",))
    with opened(folder / "overflow") as session:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rows = one_a_row(parquet(session, [folder / "hashes.parquet"]), columns, "raw")
        new_rows(rows, session.from_arrow(table), columns).create("rows")
        rows = session.table("rows")
        found, values = count_contents(rows, columns)
        contents_to_encode(rows, None, columns).create("asked")
        reuse(session, table, ["vec"], session.table("asked"), spill, "run")
        left = contents_to_encode(rows, parquet(session, spill.hashes()), columns)
        encode = left.count("*").fetchall()[0][0]
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reused = sum(len(pq.read_table(path)) for path in spill.hashes())
    grown = (after - before) / 1024
    return {"rows": found, "values": values, "encode": encode, "reused": reused, "mib": grown}


def write(folder):
    """Write a table of two million hashes, and the hashes of a run."""
    for name in ("spill", "table"):
        (folder / name).mkdir()
    time = pa.scalar(0, EVENT_TIME)
    for start in range(0, HELD, HELD // 8):
        numbers = np.arange(start, start + HELD // 8)
        vectors = np.zeros(2 * len(numbers), np.float32)
        columns = {
            "id": pa.array(numbers).cast(pa.string()),
            "event_timestamp": pa.repeat(time, len(numbers)),
            "created_timestamp": pa.repeat(time, len(numbers)),
            "vec": pa.FixedSizeListArray.from_arrays(vectors, 2).cast(pa.list_(pa.float32())),
            "vec_hash": hashes(numbers).cast(pa.binary()),
        }
        pq.write_table(pa.table(columns), folder / "table" / f"{start:08d}.parquet")
    numbers = np.arange(NEW)
    contents = np.where(numbers % 2, numbers * 50, HELD + numbers)
    columns = {
        "slice": pa.array(np.zeros(NEW, np.int32)),
        "row": pa.array(numbers.astype(np.int32)),
        "id": pa.array([f"new {number}" for number in numbers]),
        "event_timestamp": pa.repeat(time, NEW),
        "source_created": pa.nulls(NEW, EVENT_TIME),
        "vec_hash": hashes(contents),
    }
    pq.write_table(pa.table(columns), folder / "hashes.parquet")


@pytest.mark.slow
def test_two_million_hashes_are_looked_up_in_little_memory(tmp_path):
    write(tmp_path)
    # A process of its own, for the peak of memory that is its alone.
    command = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["rows"] == found["values"] == NEW
    assert (found["encode"], found["reused"]) == (NEW // 2, NEW // 2)
    assert found["mib"] < 700


if __name__ == "__main__":
    print(json.dumps(plan_of(Path(sys.argv[1]))))
