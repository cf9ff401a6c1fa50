"""Damage is found before a run works on it: what it is, where, and the ways out."""

import shutil

import pytest

from deepfeast.pipelines.doctor import diagnose, render
from deepfeast.transforms.embeddings.check import check_table, find_faults, sound
from deepfeast.transforms.embeddings.compact import compact
from deepfeast.transforms.embeddings.versions import list_versions
from deepfeast.transforms.errors import SourceError, TableDamaged
from deepfeast.transforms.files.table import open_table

LAST = f"_delta_log/{3:020d}.json"


def cut(path, share=2):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // share])


def a_file(table):
    """The first run's, which has most rows: of the names those of one second are in no order."""
    return table.path / max(table.files(), key=lambda file: file["rows"])["path"]


DAMAGE = {
    "a cut entry": (lambda table: cut(table.path / LAST), f"{LAST} is cut"),
    "an empty entry": (lambda table: (table.path / LAST).write_bytes(b""), f"{LAST} is cut"),
    "a lost entry": (
        lambda table: (table.path / LAST).unlink(),
        "ends at version 2, and version 3",
    ),
    "a hole": (
        lambda table: (table.path / f"_delta_log/{1:020d}.json").unlink(),
        f"{1:020d}.json is missing",
    ),
    "no log": (lambda table: shutil.rmtree(table.path / "_delta_log"), "is gone, and version 3"),
    "a lost file": (lambda table: a_file(table).unlink(), "part-000000.parquet is missing"),
    "a cut file": (lambda table: cut(a_file(table)), r"part-000000.parquet has [\d,]+ bytes, its"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_table_is_found_by_embed_and_doctor(nights, table_of, kind):
    damage, told = DAMAGE[kind]
    damage(table_of(nights))
    with pytest.raises(TableDamaged, match=rf"{told}.*(backup).*deepfeast embed deep"):
        nights.embed()
    findings = [one for one in diagnose(nights.store) if one.level == "error"]
    assert nights.table.name in render(findings)
    assert "backup" in render(findings)


@pytest.mark.parametrize("damage", [lambda path: cut(path), lambda path: path.unlink()])
@pytest.mark.parametrize("what", ["*.parquet", f"_delta_log/{0:020d}.json"])
def test_damaged_rejects_are_found_and_can_be_moved_aside(nights, table_of, damage, what):
    folder = nights.table.with_name("deep_rejects")
    path = min(folder.glob(what))
    damage(path)
    nights.write([{"id": "new", "title": "hat"}])
    found = [*find_faults(table_of(nights), table_of(nights).open())]
    assert str(folder) in found[0].what
    with pytest.raises(TableDamaged, match=f"mv {folder} {folder}.damaged"):
        nights.embed()
    folder.rename(f"{folder}.damaged")
    assert nights.embed().rows == 1


def test_a_rebuild_does_without_lost_files_and_reuses_the_others(nights, table_of):
    table = table_of(nights)
    a_file(table).unlink()
    assert check_table(table, table.open(), rebuild=True) == {
        str(a_file(table).relative_to(table.path))
    }
    run = nights.embed(rebuild=True, allowed_rejects=1)
    # Of three contents "blue tie" lay in the lost file alone.
    assert (run.rows, run.rejected, run.encoded) == (33, 1, 1)
    assert nights.vectors()["a"] == [3, 0]
    assert [version.number for version in list_versions(table)] == [2]
    assert [*find_faults(table, table.open())] == []


def test_a_whole_table_has_no_faults_before_and_after_compacting(nights, table_of):
    table = table_of(nights)
    assert [*find_faults(table, table.open())] == []
    compact(table)
    assert [*find_faults(table, table.open())] == []
    assert sound(table.dataset(table.open()), ()).count_rows() == 34


def test_compacting_touches_nothing_that_is_damaged(nights, table_of):
    table = table_of(nights)
    cut(a_file(table))
    with pytest.raises(TableDamaged, match="part-000000"):
        compact(table)


def test_a_reader_is_told_which_file_is_missing(nights, table_of):
    a_file(table_of(nights)).unlink()
    with pytest.raises(SourceError, match=r"part-000000\.parquet is missing"):
        len(open_table(str(nights.table), delta=True))
    cut(nights.table / LAST)
    with pytest.raises(SourceError, match=f"{LAST} is cut or damaged"):
        open_table(str(nights.table), delta=True)
