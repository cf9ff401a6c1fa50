import pytest

from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.versions import list_versions, rollback, vacuum
from deepfeast.transforms.errors import TableError
from deepfeast.transforms.views import find_deep_view

THREE = "python:deepfeast.transforms.testing:WordLengths?dim=3"


def table_of(shirts):
    return embedding_table(shirts.store, find_deep_view(shirts.store, "deep")[0])


@pytest.fixture
def two_versions(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}])
    shirts.embed()
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "hat"}])
    shirts.embed()
    shirts.declare(THREE)
    shirts.embed(rebuild=True)
    return shirts


def test_a_version_is_all_runs_between_two_rebuilds(two_versions):
    first, second = list_versions(table_of(two_versions))
    assert (first.number, first.rows, first.current) == (1, 2, False)
    assert (second.number, second.rows, second.current) == (2, 2, True)
    assert first.fingerprints != second.fingerprints
    assert first.first < first.last < second.first


def test_an_earlier_version_can_be_made_current_and_goes_on_from_there(two_versions):
    rollback(table_of(two_versions), 1)
    assert two_versions.vectors() == {"a": [3, 5], "b": [3, 0]}
    assert [version.current for version in list_versions(table_of(two_versions))] == [True, False]
    two_versions.declare("python:deepfeast.transforms.testing:WordLengths?dim=2")
    two_versions.write([{"id": "c", "title": "scarf"}])
    assert two_versions.embed().rows == 1
    assert two_versions.vectors() == {"a": [3, 5], "b": [3, 0], "c": [5, 0]}
    two_versions.declare(THREE)
    two_versions.embed(rebuild=True)
    assert [version.number for version in list_versions(table_of(two_versions))] == [1, 2, 3]


def test_there_is_no_going_back_to_what_is_not_there(two_versions):
    with pytest.raises(TableError, match=r"no version 7\. It has: 1, 2"):
        rollback(table_of(two_versions), 7)
    with pytest.raises(TableError, match="current already"):
        rollback(table_of(two_versions), 2)


def test_vacuum_deletes_leftovers_and_nothing_that_a_version_needs(two_versions):
    table = table_of(two_versions)
    orphan = two_versions.table / "20240101T000000-dead"
    orphan.mkdir()
    (orphan / "part-000000.parquet").write_bytes(b"never published")
    assert vacuum(table) == [orphan]
    assert vacuum(table) == []
    rollback(table, 1)
    assert two_versions.vectors() == {"a": [3, 5], "b": [3, 0]}


def test_a_version_is_dropped_only_when_asked_and_not_current(two_versions):
    table = table_of(two_versions)
    with pytest.raises(TableError, match="current; keep it"):
        vacuum(table, drop=2)
    assert len(vacuum(table, drop=1)) == 2
    assert [version.number for version in list_versions(table)] == [2]
    assert two_versions.vectors() == {"a": [3, 5, 0], "b": [3, 0, 0]}
