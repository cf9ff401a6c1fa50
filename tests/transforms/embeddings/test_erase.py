"""Rows of forgotten keys leave all versions and the disk; whatever else was there stays."""

from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.embeddings.compact import compact
from deepfeast.transforms.embeddings.erase import erase_rows, find_traces
from deepfeast.transforms.embeddings.rejects import erase_rejects, read_rejects
from deepfeast.transforms.embeddings.tombstones import Tombstones
from deepfeast.transforms.embeddings.versions import list_versions, rollback
from deepfeast.transforms.errors import TableDamaged


def gone(*keys):
    return Tombstones(("id",)).with_keys([(key,) for key in keys])


def rows(table):
    found = table.must_exist().to_pyarrow_table()
    return found.sort_by([(name, "ascending") for name in ("id", "created_timestamp")])


def without(found, *keys):
    return found.filter([key not in keys for key in found["id"].to_pylist()])


def erase(table, *keys):
    with table.held("forget"):
        return erase_rows(table, gone(*keys), "20240101T000000-forget")


def on_disk(table):
    """Return the keys in all data files, whether or not a version needs them."""
    return {
        key
        for path in table.path.glob("*/*.parquet")
        if path.parent.name != "_delta_log"
        for key in pq.read_table(path, columns=["id"])["id"].to_pylist()
    }


@pytest.mark.parametrize("compacted", [False, True])
def test_a_key_leaves_all_versions_and_the_others_stay_bit_for_bit(
    two_versions, table_of, compacted
):
    table = table_of(two_versions)
    expected = {}
    for number in (1, 2):
        rollback(table, number)
        expected[number] = without(rows(table), "a")
    if compacted:
        compact(table, timedelta(0))
    history = table.commits()
    assert find_traces(table, gone("a")).rows == {1: 1, 2: 1}
    erase(table, "a")
    assert on_disk(table) == {"b"}
    assert table.commits()[1:] == history
    assert (table.commits()[0].kind, len(list_versions(table))) == ("forget", 2)
    assert [version.rows for version in list_versions(table)] == [1, 1]
    assert rows(table).equals(expected[2])
    rollback(table, 1)
    assert rows(table).equals(expected[1])
    assert find_traces(table, gone("a")).rows == {}


def test_files_without_such_rows_are_left_as_they_are(two_versions, table_of):
    table = table_of(two_versions)
    before = {path.stat().st_ino for path in table.path.glob("*/*.parquet")}
    swept = erase(table, "b")
    after = {path.stat().st_ino for path in table.path.glob("*/*.parquet")}
    # Of three files the first has no b.
    assert len(before & after) == 1
    assert len(swept.replaced) == 2
    assert not (table.path / "_delta_log" / f"{0:020d}.json").exists()


def test_nothing_is_committed_where_a_key_is_unknown(nights, table_of):
    table = table_of(nights)
    version = table.must_exist().version()
    swept = erase(table, "nobody")
    assert (str(swept), table.must_exist().version()) == ("nothing to delete", version)


def test_replaced_files_that_wait_for_readers_and_leftovers_go_too(nights, table_of):
    table = table_of(nights)
    compact(table)
    (table.path / "20230101T000000-dead").mkdir()
    (table.spill("abc")).mkdir(parents=True)
    erase(table, "a")
    assert "a" not in on_disk(table)
    assert not (table.path / "20230101T000000-dead").exists()
    assert not list(table.scratch.glob("spill/*"))


def test_a_version_of_which_all_is_forgotten_stays_as_one_without_rows(two_versions, table_of):
    table = table_of(two_versions)
    erase(table, "a", "b")
    assert [version.rows for version in list_versions(table)] == [0, 0]
    assert len(rows(table)) == 0
    run = two_versions.embed()
    assert run.rows == 2


def test_a_cut_file_stops_it_where_it_is_current_and_goes_where_it_is_not(two_versions, table_of):
    table = table_of(two_versions)
    old, current = (table.path / table.files(version)[0]["path"] for version in (1, 2))
    old.write_bytes(old.read_bytes()[:-9])
    erase(table, "a")
    assert not old.exists()
    assert [version.number for version in list_versions(table)] == [2]
    current = table.path / table.files()[0]["path"]
    current.write_bytes(current.read_bytes()[:-9])
    with pytest.raises(TableDamaged, match=r"has .* bytes"):
        erase(table, "b")


def test_rejects_of_a_key_go_and_those_of_others_stay(nights, table_of):
    table = table_of(nights)
    before = read_rejects(table)
    assert set(before["id"].to_pylist()) == {"c"}
    (table.path.parent / "deep_rejects" / "stray.parquet.tmp").write_bytes(b"c")
    nights.write([{"id": "c", "title": "poison"}, {"id": "d", "title": "poison d"}])
    nights.embed(allowed_rejects=1)
    assert erase_rejects(table, gone("c"), "anew") == 1
    assert read_rejects(table)["id"].to_pylist() == ["d"]
    assert len(list((table.path.parent / "deep_rejects").glob("*.parquet*"))) == 1
    assert erase_rejects(table, gone("c"), "again") == 0
