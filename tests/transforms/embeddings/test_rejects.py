import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from deepfeast.transforms.embeddings.rejects import (
    add_rejects,
    compact_rejects,
    read_rejects,
    standing_rejects,
)
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.views import find_deep_view


@pytest.fixture
def table(shirts):
    return embedding_table(shirts.store, find_deep_view(shirts.store, "deep")[0])


def test_a_reject_stands_until_its_row_is_mended(shirts, table):

    def standing():
        return sorted(row["id"] or "" for row in standing_rejects(table).to_pylist())

    assert read_rejects(table) is None
    assert standing_rejects(table) is None
    bad = [{"id": "a", "title": "poison"}, {"id": "b", "title": "poison too"}]
    shirts.write([*bad, {"id": None, "title": "red"}, {"id": "c", "title": "red"}])
    shirts.embed(allowed_rejects=1)
    assert standing() == ["", "a", "b"]
    # One is mended, the other only changed, the row without a key is gone.
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "worse poison"}])
    shirts.embed(allowed_rejects=1)
    assert standing() == ["b"]
    assert len(read_rejects(table)) == 4
    # No text at all is missing, and no reject.
    shirts.write([{"id": "b", "title": None}])
    shirts.embed()
    assert standing() == []


def test_rejects_of_a_run_that_was_never_published_are_nobodys(shirts, table):
    shirts.write([{"id": "a", "title": "poison"}])
    shirts.embed(allowed_rejects=1)
    known = read_rejects(table)
    place = known.schema.get_field_index("run_id")
    lost = known.set_column(place, "run_id", pa.array(["a killed run"]))
    add_rejects(table, lost, "a killed run")
    add_rejects(table, known.slice(0, 0), "a run without any")
    assert read_rejects(table).equals(known)


def test_compacting_leaves_one_file_and_a_short_log(shirts, table):
    for number in range(3):
        shirts.write([{"id": str(number), "title": "poison"}])
        shirts.embed(allowed_rejects=1)
    known = read_rejects(table).sort_by("id")
    orphan = Path(table.rejects) / "killed.parquet"
    shutil.copy(min(Path(table.rejects).glob("*.parquet")), orphan)

    def files():
        return sorted(path.name for path in Path(table.rejects).rglob("*") if path.is_file())

    compact_rejects(table, "first", timedelta(hours=1))
    assert "killed.parquet" not in files()
    assert len(files()) == 3 + 1 + 4 + 2  # nothing that somebody may be reading has gone
    compact_rejects(table, "second", timedelta(0))
    last = f"{3:020d}"
    assert files() == [
        f"{last}.checkpoint.parquet",
        f"{last}.json",
        "_last_checkpoint",
        "first.parquet",
    ]
    assert read_rejects(table).sort_by("id").equals(known)
    add_rejects(table, known.slice(0, 1), known["run_id"][0].as_py())
    assert read_rejects(table).sort_by("id").equals(known)
    shirts.write([{"id": "3", "title": "poison"}])
    shirts.embed(allowed_rejects=1)
    compact_rejects(table, "third", timedelta(0))
    assert files()[-1] == "third.parquet"
    assert len(files()) == 4
    assert len(read_rejects(table)) == 4
