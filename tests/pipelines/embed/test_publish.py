from datetime import datetime, timezone

import pyarrow as pa
import pytest

from deepfeast.pipelines.embed.job import Run
from deepfeast.pipelines.embed.publish import data_files, metadata, missing_cells, stamped
from deepfeast.transforms.embeddings.commit import Commit
from deepfeast.transforms.errors import DeepfeastError

PARTS = [
    {"path": "a.parquet", "size": 9, "rows": 2, "missing": {"vec": 1, "photo": 2}},
    {"path": "b.parquet", "size": 8, "rows": 1, "missing": {"vec": 0, "photo": 1}},
]
NOW = datetime(2024, 5, 1, tzinfo=timezone.utc)


def told(commits=(), rebuild=False, fits=()):
    run = Run("deep", "run-9", rows=3, encoded=2)
    fits = {name: {"rows": 1} for name in fits}
    return metadata(run, 7, "tag", {}, {"vec": "f" * 64}, fits, commits, rebuild)


def test_data_files_are_named_from_the_table():
    assert [part["path"] for part in data_files(PARTS, "run-9", 3)] == [
        "run-9/a.parquet",
        "run-9/b.parquet",
    ]


def test_a_runner_that_lost_rows_publishes_nothing():
    with pytest.raises(DeepfeastError, match="wrote 3 rows where 4 were planned"):
        data_files(PARTS, "run-9", 4)


def test_a_cell_is_missing_where_it_has_no_vector_and_is_no_reject():
    # Of four cells without a vector one was rejected; the row without a key has no cell.
    assert missing_cells(PARTS, pa.table({"feature": ["photo", ""]})) == 3


def test_rejects_are_stamped_with_their_run():
    rejects = stamped(pa.table({"id": ["a"]}), "run-9", 1_000_000)
    assert rejects.to_pylist() == [
        {
            "id": "a",
            "run_id": "run-9",
            "created_timestamp": datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc),
        }
    ]


def test_the_first_commit_says_what_was_done():
    meta = told()
    assert (meta["run_id"], meta["created"], meta["generation"]) == ("run-9", 7, 1)
    assert (meta["counts"]["rows"], meta["counts"]["encoded"]) == (3, 2)
    assert meta["versions"]["pyarrow"] == pa.__version__


def test_a_rebuild_is_a_generation_of_its_own_and_forgets_the_old_fits():
    def commit(generation, **meta):
        return Commit(0, NOW, {"generation": generation, **meta})

    # Rolled back: the newest generation is not the current one.
    commits = [commit(1, fits={"old": {"rows": 9}}), commit(2)]
    assert told(commits)["generation"] == 1
    assert list(told(commits, fits=["vec"])["fits"]) == ["old", "vec"]
    again = told(commits, rebuild=True, fits=["vec"])
    assert (again["generation"], list(again["fits"])) == (3, ["vec"])
