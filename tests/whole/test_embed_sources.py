"""Where raw rows may come from, and what happens when a source changes or fails."""

import functools
import http.server
import os
import subprocess
import threading
from datetime import datetime, timezone

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from deepfeast.transforms import training_frame
from deepfeast.transforms.errors import ColumnNotFound, SourceError, TableError

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
UNTRAINED = "python:deepfeast.transforms.testing:untrained_photos"
FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
LATER = datetime(2024, 2, 1, tzinfo=timezone.utc)
NOON = "2024-01-01T12:00:00Z"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def rows(**titles):
    return pa.Table.from_pylist(
        [{"id": key, "title": title, "event_timestamp": FIRST} for key, title in titles.items()]
    )


def test_a_source_on_another_filesystem(Shirts, tmp_path):
    shirts = Shirts(tmp_path, path="memory://shop/raw.parquet")
    with fsspec.open("memory://shop/raw.parquet", "wb") as file:
        pq.write_table(rows(a="red shirt", b="hat"), file)
    shirts.embed()
    assert shirts.vectors() == {"a": [3, 5], "b": [3, 0]}


def test_a_glob_takes_the_files_it_names(Shirts, tmp_path):
    shirts = Shirts(tmp_path, path="raw/2024-*.parquet")
    for name, key in (("2024-01", "a"), ("2024-02", "b"), ("2023-12", "old")):
        shirts.write([{"id": key, "title": "red"}], f"raw/{name}.parquet")
    shirts.embed()
    assert set(shirts.vectors()) == {"a", "b"}


def test_a_delta_table_is_read_as_it_stands_now(Shirts, tmp_path):
    from feast.data_format import DeltaFormat

    write_deltalake(str(tmp_path / "raw"), rows(a="red"))
    write_deltalake(str(tmp_path / "raw"), rows(b="blue"), mode="overwrite")
    shirts = Shirts(tmp_path, path="raw", file_format=DeltaFormat())
    shirts.embed()
    assert shirts.vectors() == {"b": [4, 0]}


def test_a_csv_is_read_with_the_declared_types(Shirts, tmp_path):
    shirts = Shirts(tmp_path, path="raw.csv")
    (tmp_path / "raw.csv").write_text(
        'id,event_timestamp,title,price\n007,2024-01-01,"red\nshirt",3\n008,2024-01-01T10:00:00Z,,4\n'
    )
    shirts.embed()
    assert shirts.vectors() == {"007": [3, 5], "008": None}


def test_a_folder_of_files_is_one_source(Shirts, tmp_path):
    shirts = Shirts(tmp_path, path="raw")
    shirts.write([{"id": "a", "title": "red"}], "raw/1.parquet")
    shirts.write([{"id": "b", "title": "blue"}], "raw/2.parquet")
    shirts.embed()
    assert shirts.vectors() == {"a": [3, 0], "b": [4, 0]}


def test_rows_that_contradict_each_other_are_named(shirts):
    shirts.write(
        [{"id": "a", "title": "red"}, {"id": "a", "title": "blue"}, {"id": "b", "title": "x"}]
    )
    with pytest.raises(SourceError, match="a, 2024-01-01"):
        shirts.embed()


def test_the_created_timestamp_settles_a_contradiction(Shirts, tmp_path):
    shirts = Shirts(tmp_path, created_timestamp_column="created")
    shirts.write(
        [
            {"id": "a", "title": "blue", "created": LATER},
            {"id": "a", "title": "red", "created": LATER.replace(month=1)},
        ]
    )
    shirts.embed()
    assert shirts.vectors() == {"a": [4, 0]}


def test_a_row_without_its_key_is_a_reject(shirts):
    shirts.write([{"id": "a", "title": "red"}, {"id": None, "title": "blue"}])
    run = shirts.embed(allowed_rejects=1)
    assert run.reasons["key_missing"]["count"] == 1
    assert shirts.vectors() == {"a": [3, 0]}


@pytest.mark.parametrize(
    ("time", "told"),
    [
        (None, "time_missing: row 1 of {raw}, counted from 0, has no 'event_timestamp'"),
        (
            "noon",
            "time_unreadable: row 1 of {raw}, counted from 0, has 'noon' as 'event_timestamp'",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_row_without_a_time_is_a_reject_and_no_night_stops(Shirts, tmp_path, kind, time, told):
    shirts = Shirts(tmp_path, path=f"raw.{kind}")
    titles = [f"red {'x' * n}" for n in range(1, 30)]

    def night(*titles):
        rows = [{"id": str(n), "title": t, "event_timestamp": NOON} for n, t in enumerate(titles)]
        rows[1]["event_timestamp"] = time
        shirts.write(rows)
        if kind == "csv":
            pq.read_table(tmp_path / "raw.parquet").to_pandas().to_csv(tmp_path / "raw.csv")
        return shirts.embed()

    run = night(*titles)
    ((reason, found),) = run.reasons.items()
    told = told.format(raw=tmp_path / f"raw.{kind}")
    assert (run.rows, run.rejected, found["count"]) == (28, 1, 1)
    assert f"{reason}: {found['examples'][0]}".replace("id=1: ", "").startswith(told)
    # It is in the source every night, whether one other row is new or none.
    assert (night(*titles).rejected, night(*titles).version) == (1, None)
    assert night(*titles, "hat").rows == 1
    assert len(shirts.rows()) == 29


def test_a_row_that_does_not_say_when_it_was_written_is_the_earliest(Shirts, tmp_path):
    shirts = Shirts(tmp_path, created_timestamp_column="created")
    written = ["2024-02-01", None, "soon"]
    titles = ["blue", "red", "green"]
    shirts.write(
        [{"id": "a", "title": t, "created": w} for t, w in zip(titles, written, strict=True)]
    )
    assert shirts.embed(allowed_rejects=0.5).reasons.keys() == {"time_unreadable"}
    assert shirts.vectors() == {"a": [4, 0]}


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (datetime(2024, 5, 1, 12), "2024-05-01T12:00:00+00:00"),
        ("2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00+00:00"),
        (datetime(2024, 5, 1).date(), "2024-05-01T00:00:00+00:00"),
    ],
)
def test_event_times_become_utc(shirts, time, expected):
    shirts.write([{"id": "a", "title": "red", "event_timestamp": time}])
    shirts.embed()
    assert shirts.rows()[0]["event_timestamp"].isoformat() == expected


def test_a_column_more_is_nobodys_business(shirts):
    shirts.write([{"id": "a", "title": "red"}])
    shirts.embed()
    shirts.write([{"id": "a", "title": "red", "price": 3}, {"id": "b", "title": "x", "price": 4}])
    assert shirts.embed().rows == 1


def test_a_column_that_went_missing_is_named(shirts):
    shirts.write([{"id": "a", "title": "red"}])
    shirts.embed()
    shirts.write([{"id": "a", "titel": "red"}])
    with pytest.raises(ColumnNotFound, match=r"no column 'title'.*Did you mean 'titel'"):
        shirts.embed()
    assert shirts.vectors() == {"a": [3, 0]}


def rename(shirts, old, new, **declared):
    """Rename a column of the raw file, and declare it as told."""
    from feast import Entity, FileSource, ValueType

    path = shirts.folder / "raw.parquet"
    table = pq.read_table(path)
    names = [new if name == old else name for name in table.column_names]
    pq.write_table(table.rename_columns(names), path)
    key = declared.pop("key", "id")
    shirts.entity = Entity(name="shirt", join_keys=[key], value_type=ValueType.STRING)
    declared = {"timestamp_field": "event_timestamp", **declared}
    shirts.source = FileSource(name="raw", path="raw.parquet", **declared)
    shirts.declare("python:deepfeast.transforms.testing:WordLengths?dim=2")


@pytest.mark.parametrize(
    ("old", "new", "declared"),
    [
        ("event_timestamp", "ts", {"timestamp_field": "ts"}),
        ("id", "shirt_id", {"key": "shirt_id"}),
        ("event_timestamp", "ts", {}),
        ("id", "shirt_id", {}),
    ],
)
def test_a_renamed_key_or_time_names_the_table_and_the_ways_out(
    Shirts, tmp_path, old, new, declared
):
    from deepfeast.pipelines.doctor import diagnose, render

    shirts = Shirts(tmp_path)
    with (tmp_path / "feature_store.yaml").open("a") as file:
        file.write(
            "offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}\n"
        )
    shirts.store = type(shirts.store)(str(tmp_path))
    shirts.write([{"id": "a", "title": "red"}])
    shirts.embed()
    rename(shirts, old, new, **declared)
    told = rf"{shirts.table} of view 'deep'.*keys 'id' and the event time 'event_timestamp'"
    with pytest.raises(ColumnNotFound, match=rf"{told}.*field_mapping=.*new name") as caught:
        shirts.embed()
    assert "Did you mean 'created_timestamp'" not in str(caught.value)
    if declared:
        labels = pd.DataFrame({declared.get("key", "id"): ["a"], "event_timestamp": [LATER]})
        with pytest.raises(ColumnNotFound, match=told):
            training_frame(shirts.store, labels, features=["deep:vec"])
        assert f"no column '{new}' in the embedding table" in render(diagnose(shirts.store))
    # The first way out; the second is a table of its own.
    rename(shirts, "nothing", "", field_mapping={new: old})
    assert shirts.embed().version is None
    shirts.write([{"id": "b", "title": "blue"}])
    rename(shirts, old, new, field_mapping={new: old})
    assert shirts.embed().rows == 1
    assert shirts.vectors() == {"a": [3, 0], "b": [4, 0]}


def test_a_text_column_that_turned_into_numbers_is_refused(shirts):
    shirts.write([{"id": "a", "title": 7}])
    with pytest.raises(SourceError, match=r"'title' of source 'raw' is int64; .* reads texts"):
        shirts.embed()


def test_a_key_of_another_type_than_the_tables_is_refused_with_both_types(shirts):
    shirts.write([{"id": "a", "title": "red"}])
    shirts.embed()
    shirts.write([{"id": 7, "title": "red"}])
    with pytest.raises(SourceError, match=r"key 'id' of source 'raw' is int64, .* it is string"):
        shirts.embed()
    assert set(shirts.vectors()) == {"a"}


def test_rows_of_another_key_never_share_the_table(shirts):
    from feast import Entity, ValueType

    shirts.write([{"id": "a", "title": "red"}])
    shirts.embed()
    shirts.entity = Entity(name="cut", join_keys=["sku"], value_type=ValueType.STRING)
    shirts.declare(WORDS)
    shirts.write([{"sku": "a", "title": "red"}])
    with pytest.raises(SourceError, match=r"no column 'sku'.*give view 'deep' a new name"):
        shirts.embed()
    assert set(shirts.vectors()) == {"a"}


def test_files_of_different_types_are_no_source(Shirts, tmp_path):
    shirts = Shirts(tmp_path, path="raw")
    shirts.write([{"id": "a", "title": "red"}], "raw/1.parquet")
    shirts.write([{"id": 7, "title": "red"}], "raw/2.parquet")
    with pytest.raises(SourceError, match=r"'id' .* is int64 in .*2\.parquet, and string"):
        shirts.embed()


def test_a_time_in_the_future_is_a_time(shirts):
    later = datetime(2150, 1, 1, tzinfo=timezone.utc)
    shirts.write([{"id": "a", "title": "red", "event_timestamp": later}])
    shirts.embed()
    assert shirts.rows()[0]["event_timestamp"] == later


def test_a_photo_that_vanishes_during_the_run_is_a_reject(Shirts, tmp_path, monkeypatch):
    from PIL import Image

    from deepfeast.pipelines.embed import plan

    shirts = Shirts(tmp_path, {"vec": "photo"})
    shirts.declare(UNTRAINED)
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{name}.png")
    shirts.write([{"id": "a", "photo": "a.png"}, {"id": "b", "photo": "b.png"}])
    find = plan.contents_to_encode

    def find_and_lose(*args):
        (tmp_path / "a.png").unlink(missing_ok=True)
        return find(*args)

    monkeypatch.setattr(plan, "contents_to_encode", find_and_lose)
    run = shirts.embed(allowed_rejects=0.5)
    assert (run.rows, run.encoded, run.rejected) == (2, 1, 1)
    assert [key for key, vector in shirts.vectors().items() if vector is None] == ["a"]
    (example,) = next(iter(run.reasons.values()))["examples"]
    assert "id=a" in example


def test_photos_are_fetched_from_hosts_that_the_feature_allows(Shirts, tmp_path, monkeypatch):
    from PIL import Image

    from deepfeast.transforms.cells import reader as image_reader

    shirts = Shirts(tmp_path, {"vec": "photo"})
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    # The test's only server is on this machine: its address stands for a public one.
    monkeypatch.setattr(image_reader, "is_public", lambda address: address == "127.0.0.1")
    page = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = f"http://127.0.0.1:{server.server_port}"
        names = {"file": "red.png", "url": f"{site}/red.png", "gone": f"{site}/blue.png"}
        shirts.write([{"id": key, "photo": photo} for key, photo in names.items()])
        shirts.declare(UNTRAINED)
        assert shirts.embed(allowed_rejects=0.9).reasons.keys() == {"url_not_allowed"}
        shirts.declare(UNTRAINED, allow_hosts=["127.0.0.1"])
        run = shirts.embed(allowed_rejects=0.9)
        assert shirts.embed(allowed_rejects=0.9).version is None
        server.shutdown()
    # The same picture, already in the table by its file, is not encoded again for its URL.
    assert (run.rows, run.encoded) == (1, 0)
    vectors = shirts.vectors()
    assert vectors["url"] == vectors["file"] is not None
    assert vectors["gone"] is None


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_told_and_leaves_the_table_as_it_was(Shirts, small_disk):
    shirts = Shirts(small_disk / "repo")
    shirts.write([{"id": "first", "title": "red shirt"}])
    shirts.embed()
    shirts.declare("python:deepfeast.transforms.testing:TextSums?dim=384")
    shirts.write([{"id": str(n), "title": f"shirt {n}"} for n in range(3000)])
    with pytest.raises(TableError, match=r"disk is full.*untouched"):
        shirts.embed(rebuild=True)
    assert shirts.vectors() == {"first": [3, 5]}
    assert DeltaTable(str(shirts.table)).version() == 0
