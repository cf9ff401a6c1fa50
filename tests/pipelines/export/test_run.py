"""Rows of runs in a table of PostgreSQL: all of them, once, and those of one version alone."""

import pytest

from deepfeast.pipelines.forget.job import forget
from deepfeast.transforms.embeddings.compact import compact
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.versions import rollback
from deepfeast.transforms.errors import (
    NeverEmbedded,
    SpecError,
)
from deepfeast.transforms.views import find_deep_view

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
LONG = "python:deepfeast.transforms.testing:WordLengths?dim=3"


def table_of(shirts):
    return embedding_table(shirts.store, find_deep_view(shirts.store, "deep")[0])


def test_only_the_runs_that_are_not_there_are_written(closet):
    first = closet.wear("red shirt", "a hat", None)
    done = closet.export()
    assert (done.rows, done.runs) == (3, [first.run_id])
    assert closet.there() == [("a hat", [1, 3]), ("none", None), ("red shirt", [3, 5])]
    assert closet.export().rows == 0
    second = closet.wear("red shirt", "a hat", None, "new socks")
    done = closet.export()
    assert (done.rows, done.runs, done.removed) == (1, [second.run_id], 0)
    (row,) = closet.there("id, vec, event_timestamp, created_timestamp, deepfeast_run")[1:2]
    (own,) = [row for row in closet.shirts.rows() if row["id"] == "new socks"]
    assert row == (
        "new socks",
        [3, 5],
        own["event_timestamp"],
        own["created_timestamp"],
        second.run_id,
    )


def test_files_that_were_compacted_are_the_same_runs(closet):
    for titles in (["a hat"], ["a hat", "b hats"], ["a hat", "b hats", "c"]):
        closet.wear(*titles)
        if len(titles) == 1:
            closet.export()
    compact(table_of(closet.shirts))
    assert closet.export().rows == 2
    assert [row for (row,) in closet.there("id")] == ["a hat", "b hats", "c"]


def test_the_table_holds_the_version_that_is_current(closet):
    closet.wear("red shirt", "a hat")
    closet.export()
    closet.shirts.declare(LONG)
    closet.wear("red shirt", "a hat", "new", rebuild=True)
    done = closet.export()
    assert (done.rows, done.removed, done.version) == (3, 2, 2)
    assert closet.there()[2] == ("red shirt", [3, 5, 0])
    closet.shirts.declare(WORDS)
    rollback(table_of(closet.shirts), 1)
    done = closet.export()
    assert (done.rows, done.removed, done.version) == (2, 3, 1)
    assert closet.there() == [("a hat", [1, 3]), ("red shirt", [3, 5])]


def test_a_forgotten_key_leaves_with_the_next_export_and_the_certificate_asks_for_it(
    closet, tmp_path
):
    closet.wear("red shirt", "a hat")
    closet.export()
    (tmp_path / "keys.csv").write_text("id\na hat\n")
    certificate = forget(closet.shirts.store, "deep", tmp_path / "keys.csv")
    (left,) = [one for one in certificate.remains if "postgres://" in one.what]
    assert left.what.endswith("/postgres." + closet.to)
    assert left.mend == f"Run deepfeast export deep --to {closet.to}: it deletes them there."
    done = closet.export()
    assert (done.rows, done.forgotten) == (0, 1)
    assert closet.there("id") == [("red shirt",)]
    assert closet.export().forgotten == 0


def test_a_table_that_was_emptied_or_dropped_is_filled_again(closet):
    closet.wear("red shirt", "a hat")
    for undo in ("SELECT", "TRUNCATE vectors", "DROP TABLE vectors"):
        closet.warehouse.run(undo)
        assert closet.export().rows == 2
    assert len(closet.there()) == 2


def test_what_is_written_is_a_source_of_vectors_for_feast(closet):
    import pandas as pd
    from feast import FeatureView, Field
    from feast.types import Array, Float32

    closet.wear("red shirt", "a hat")
    closet.export()
    source = closet.warehouse.source("vectors", created_timestamp_column="created_timestamp")
    schema = [Field(name="vec", dtype=Array(Float32))]
    copied = FeatureView(
        name="copied", entities=[closet.shirts.entity], schema=schema, source=source
    )
    closet.shirts.store.apply([copied, source])
    asked = pd.DataFrame({"id": ["a hat"], "event_timestamp": pd.Timestamp("2024-02-01", tz="UTC")})
    job = closet.shirts.store.get_historical_features(asked, features=["copied:vec"])
    assert [*job.to_df()["vec"].iloc[0]] == [1, 3]


def test_a_table_with_rows_of_others_is_left_as_it_is(closet):
    closet.wear("a hat")
    closet.export()
    closet.warehouse.run("UPDATE vectors SET deepfeast_run = 'theirs'")
    with pytest.raises(SpecError, match="rows of run 'theirs', which view 'deep' never had"):
        closet.export()
    assert closet.there("deepfeast_run") == [("theirs",)]


def test_what_was_never_embedded_is_not_exported(closet):
    with pytest.raises(NeverEmbedded):
        closet.export()
    with pytest.raises(SpecError, match=r"kept as 'array' or as 'vector', not as 'list'\."):
        closet.export(kind="list")
