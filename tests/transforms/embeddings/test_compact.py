"""Compacting changes files, and nothing that anybody can read in them."""

import multiprocessing
import os
import signal
from datetime import timedelta

import pytest
from deltalake import DeltaTable

from deepfeast.transforms.embeddings import compact as module
from deepfeast.transforms.embeddings.compact import compact
from deepfeast.transforms.embeddings.rejects import add_rejects, read_rejects
from deepfeast.transforms.embeddings.table import EmbeddingTable
from deepfeast.transforms.embeddings.vacuum import vacuum
from deepfeast.transforms.embeddings.versions import list_versions, rollback
from deepfeast.transforms.errors import RunInProgress

NOW = timedelta(0)
TWO = "python:deepfeast.transforms.testing:WordLengths?dim=2"


def rows(table):
    found = table.must_exist().to_pyarrow_table()
    return found.sort_by([(name, "ascending") for name in ("id", "created_timestamp")])


def files(table):
    return [path for path in table.path.rglob("*") if path.is_file()]


def test_many_nights_become_a_handful_of_files_with_the_same_rows(nights, table_of):
    table = table_of(nights)
    before = rows(table)
    done = compact(table, NOW)
    assert (done.before, done.after, done.rows) == (4, 1, len(before))
    assert rows(table).equals(before)
    # The data, the log and its checkpoint with a pointer, the history, the marker, the lock.
    assert len(files(table)) == 7
    assert str(compact(table, NOW)) == "nothing to compact in 1 data files; nothing to delete"


def test_history_versions_and_rejects_are_what_they_were(nights, table_of):
    table = table_of(nights)
    commits, rejects = table.commits(), read_rejects(table)
    (version,) = list_versions(table)
    compact(table, NOW)
    newest, *older = table.commits()
    assert older == commits
    assert (newest.kind, newest.meta["fingerprints"]) == (
        "compact",
        commits[0].meta["fingerprints"],
    )
    assert list_versions(table) == [version]
    assert read_rejects(table).sort_by("id").equals(rejects.sort_by("id"))


def test_runs_go_on_as_if_nothing_had_been(nights, table_of):
    table = table_of(nights)
    compact(table, NOW)
    assert nights.embed(allowed_rejects=1).version is None
    nights.write([{"id": "new", "title": "blue tie"}])
    run = nights.embed()
    assert (run.rows, run.encoded, run.reused) == (1, 0, 1)
    compact(table, NOW)
    assert [commit.kind for commit in table.commits()] == [
        "compact",
        "run",
        "compact",
        *["run"] * 4,
    ]
    rejects = DeltaTable(table.rejects).to_pyarrow_table()
    add_rejects(table, rejects, rejects["run_id"][0].as_py())
    assert len(DeltaTable(table.rejects).to_pyarrow_table()) == len(rejects)


def test_an_earlier_version_is_compacted_too_and_there_after_its_log_has_gone(
    two_versions, table_of
):
    table = table_of(two_versions)
    two_versions.write([{"id": "c", "title": "scarf"}])
    two_versions.embed()
    done = compact(table, NOW)
    assert (done.before, done.after, done.rows) == (4, 2, 5)
    assert not (table.path / "_delta_log" / f"{0:020d}.json").exists()
    rollback(table, 1)
    assert two_versions.vectors() == {"a": [3, 5], "b": [3, 0]}
    two_versions.declare(TWO)
    two_versions.write([{"id": "d", "title": "tie"}])
    two_versions.embed()
    compact(table, NOW)
    assert [(v.number, v.rows, v.current) for v in list_versions(table)] == [
        (1, 3, True),
        (2, 3, False),
    ]
    assert len(list(table.path.glob("*/*.parquet"))) == 2 + 1  # a checkpoint
    rollback(table, 2)
    assert two_versions.vectors() == {"a": [3, 5, 0], "b": [3, 0, 0], "c": [5, 0, 0]}
    rollback(table, 1)
    assert two_versions.vectors() == {"a": [3, 5], "b": [3, 0], "d": [3, 0]}


def test_where_only_an_earlier_version_has_small_files_the_current_one_stays(
    two_versions, table_of
):
    table = table_of(two_versions)
    (current,) = table.files()
    before = rows(table)
    assert compact(table, NOW).after == 2
    assert table.files() == [current]
    assert rows(table).equals(before)
    vacuum(table, drop=1)
    assert compact(table, NOW).version is None
    assert [version.number for version in list_versions(table)] == [2]


def test_a_reader_who_opened_the_table_before_is_not_disturbed(nights, table_of):
    table = table_of(nights)
    dataset, before = table.dataset(table.must_exist()), rows(table)
    compact(table)
    found = dataset.to_table()
    assert found.sort_by([("id", "ascending"), ("created_timestamp", "ascending")]).equals(before)


def test_large_files_are_left_alone_and_small_ones_end_at_their_size(nights, table_of, monkeypatch):
    table = table_of(nights)
    largest = max(file["size"] for file in table.files())
    monkeypatch.setattr(module, "FILE_BYTES", 2 * largest)
    monkeypatch.setattr(module, "GROUP_ROWS", 1)
    before = rows(table)
    assert compact(table, NOW).after == 2
    assert rows(table).equals(before)


def test_it_waits_for_nobody_and_disturbs_nobody(nights, table_of):
    table = table_of(nights)
    with table.held("run 7"), pytest.raises(RunInProgress, match="run 7"):
        compact(table)


def test_a_run_on_another_machine_that_published_meanwhile_wins(nights, table_of, monkeypatch):
    table = table_of(nights)
    merge = module._merge

    def slowly(*args):
        found = merge(*args)
        files, meta = table.files()[:1], table.commits()[0].meta
        schema = table.dataset(table.must_exist()).schema
        table.publish(schema, files, {**meta, "rollback": 3}, 3, replace=True)
        return found

    monkeypatch.setattr(module, "_merge", slowly)
    with pytest.raises(RunInProgress, match="planned on version 3"):
        compact(table)
    assert not list(table.path.glob("*compact*"))


def die_at(uri, name):
    setattr(module, name, lambda *args: os.kill(os.getpid(), signal.SIGKILL))
    compact(EmbeddingTable(uri, "deep"), NOW)


@pytest.mark.parametrize("place", ["_publish", "sweep"])
def test_killed_at_any_moment_it_is_done_by_the_next(nights, table_of, place):
    table = table_of(nights)
    before, commits = rows(table), table.commits()
    process = multiprocessing.get_context("forkserver").Process(
        target=die_at, args=(table.uri, place)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert rows(table).equals(before)
    compact(table, NOW)
    assert rows(table).equals(before)
    assert table.commits()[1:] == commits
    assert len(table.files()) == 1
