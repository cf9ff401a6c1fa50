import pytest

from deepfeast.transforms.embeddings.versions import list_versions, rollback
from deepfeast.transforms.errors import TableError

TWO = "python:deepfeast.transforms.testing:WordLengths?dim=2"
THREE = "python:deepfeast.transforms.testing:WordLengths?dim=3"


def test_a_version_is_all_runs_between_two_rebuilds(two_versions, table_of):
    first, second = list_versions(table_of(two_versions))
    assert (first.number, first.rows, first.current) == (1, 2, False)
    assert (second.number, second.rows, second.current) == (2, 2, True)
    assert first.fingerprints != second.fingerprints
    assert first.first < first.last < second.first


def test_an_earlier_version_can_be_made_current_and_goes_on_from_there(two_versions, table_of):
    rollback(table_of(two_versions), 1)
    assert two_versions.vectors() == {"a": [3, 5], "b": [3, 0]}
    assert [version.current for version in list_versions(table_of(two_versions))] == [True, False]
    two_versions.declare(TWO)
    two_versions.write([{"id": "c", "title": "scarf"}])
    assert two_versions.embed().rows == 1
    assert two_versions.vectors() == {"a": [3, 5], "b": [3, 0], "c": [5, 0]}
    two_versions.declare(THREE)
    two_versions.embed(rebuild=True)
    assert [version.number for version in list_versions(table_of(two_versions))] == [1, 2, 3]


def test_there_is_no_going_back_to_what_is_not_there(two_versions, table_of):
    with pytest.raises(TableError, match=r"no version 7\. It has: 1, 2"):
        rollback(table_of(two_versions), 7)
    with pytest.raises(TableError, match="current already"):
        rollback(table_of(two_versions), 2)
