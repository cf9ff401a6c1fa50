from datetime import timedelta

import pytest

from deepfeast.transforms.embeddings.compact import compact
from deepfeast.transforms.embeddings.vacuum import vacuum
from deepfeast.transforms.embeddings.versions import list_versions, rollback
from deepfeast.transforms.errors import RunInProgress, TableError

NOW = timedelta(0)


def test_leftovers_go_and_nothing_that_a_version_needs(two_versions, table_of):
    table = table_of(two_versions)
    orphan = two_versions.table / "20240101T000000-dead"
    orphan.mkdir()
    (orphan / "part-000000.parquet").write_bytes(b"never published")
    swept = vacuum(table, keep=NOW)
    assert swept.leftovers == [orphan]
    assert str(swept) == "deleted 1 leftover (15 B)"
    assert str(vacuum(table, keep=NOW)) == "nothing to delete"
    rollback(table, 1)
    assert two_versions.vectors() == {"a": [3, 5], "b": [3, 0]}


def test_a_version_is_dropped_only_when_asked_and_not_current(two_versions, table_of):
    table = table_of(two_versions)
    with pytest.raises(TableError, match="current; keep it"):
        vacuum(table, drop=2)
    assert len(vacuum(table, drop=1).dropped) == 2
    assert [version.number for version in list_versions(table)] == [2]
    assert two_versions.vectors() == {"a": [3, 5, 0], "b": [3, 0, 0]}


def test_replaced_files_stay_until_nobody_reads_them(nights, table_of):
    table = table_of(nights)
    swept = compact(table).swept
    assert (swept.replaced, swept.entries, swept.waiting) == ([], [], 4)
    assert "left to those who are reading: 4 replaced files" in str(vacuum(table))
    swept = vacuum(table, keep=NOW)
    assert (len(swept.replaced), len(swept.entries), swept.waiting) == (4, 4, 0)
    assert nights.vectors()["a"] == [3, 0]


def test_nothing_is_deleted_beside_a_run(nights, table_of):
    table = table_of(nights)
    with table.held("run 7"), pytest.raises(RunInProgress, match="run 7"):
        vacuum(table)


def test_of_a_view_that_was_never_embedded_there_is_nothing_to_delete(shirts, table_of):
    assert str(vacuum(table_of(shirts))) == "nothing to delete"


def test_what_was_fitted_goes_with_the_last_version_of_its_vectors(shirts, table_of):
    shirts.declare("tfidf:2")
    rows = [{"id": str(n), "title": f"red {word}"} for n, word in enumerate(("tie", "hat", "cap"))]
    shirts.write(rows)
    shirts.embed()
    table = table_of(shirts)
    (old,) = table.scratch.glob("fitted/*")
    shirts.write([*rows, {"id": "new", "title": "blue scarf"}])
    shirts.embed(rebuild=True)
    assert str(vacuum(table, keep=NOW)) == "nothing to delete"
    assert vacuum(table, drop=1).leftovers == [old]
    assert len([*table.scratch.glob("fitted/*")]) == 1
