"""A key that was forgotten is nowhere: every byte is searched; and all else is as it was."""

import json
import multiprocessing
import os
import shutil
import signal
import struct
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from deepfeast.pipelines.doctor import diagnose
from deepfeast.pipelines.forget import job as module
from deepfeast.pipelines.forget.job import forget
from deepfeast.transforms.embeddings.rejects import read_rejects
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.tombstones import begun_forgetting
from deepfeast.transforms.embeddings.versions import list_versions, rollback
from deepfeast.transforms.errors import JoinError, RunInProgress, SpecError
from deepfeast.transforms.lookup import OnlineFeatures
from deepfeast.transforms.monitoring.record import Record
from deepfeast.transforms.views import find_deep_view

START, END = (datetime(2024, 1, day, tzinfo=timezone.utc) for day in (1, 9))
ENGINE = {"type": "deepfeast.pipelines.engine.BeamEngine"}
ANN, EVE, OTHERS = "key-of-ann", "key-of-eve", [f"other-{number}" for number in range(3)]
# Words of lengths that nobody else has, so that the numbers can be looked for.
TITLE = "a" * 201 + " " + "b" * 203
CONTENTS = [b"a" * 50, struct.pack("<ff", 201, 203), ANN.encode(), EVE.encode(), b"poison of eve"]
ROWS = [
    {"id": ANN, "title": TITLE},
    {"id": EVE, "title": "poison of eve"},
    *({"id": key, "title": f"{'x' * (n + 1)} shirt"} for n, key in enumerate(OTHERS)),
    {"id": "bad", "title": "poison of others"},
]
WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
THREE = "python:deepfeast.transforms.testing:WordLengths?dim=3"


def table_of(store):
    return embedding_table(store, find_deep_view(store, "deep")[0])


def rows(table):
    found = table.must_exist().to_pyarrow_table()
    found = found.filter([key not in (ANN, EVE) for key in found["id"].to_pylist()])
    return found.sort_by([("id", "ascending"), ("created_timestamp", "ascending")])


def history(table):
    """Return the rows of each version for all but the forgotten, the current one last."""
    found = {}
    for number in (2, 1):
        rollback(table, number)
        found[number] = rows(table)
    return found


@pytest.fixture(scope="module")
def made(Shirts, tmp_path_factory):
    """A repo with two versions, rejects, an online store, leftovers and a cache, made once."""
    from feast import FeatureService, FeatureStore

    shirts = Shirts(tmp_path_factory.mktemp("made") / "shirts", path="../raw.parquet")
    with (shirts.folder / "feature_store.yaml").open("a") as config:
        config.write(f"batch_engine: {{type: {ENGINE['type']}}}\n")
    shirts.store = FeatureStore(str(shirts.folder))
    shirts.write(ROWS, "../raw.parquet")
    shirts.embed(allowed_rejects=1)
    shirts.declare(THREE)
    shirts.embed(rebuild=True, allowed_rejects=1)
    rollback(table_of(shirts.store), 1)
    shirts.declare(WORDS)
    shirts.store.apply(
        [FeatureService(name="model", features=[shirts.store.get_feature_view("deep")])]
    )
    shirts.store.materialize(START, END)
    table = table_of(shirts.store)
    left = table.scratch / "spill" / "0123456789abcdef" / "run-encoded-vec.npy"
    left.parent.mkdir(parents=True)
    left.write_bytes(CONTENTS[1])
    work = table.work("killed") / "rows" / "0.parquet"
    work.parent.mkdir(parents=True)
    work.write_bytes(ANN.encode())
    cache = shirts.folder / "lift" / "vectors" / f"{'0' * 16}-{'a' * 16}.npy"
    cache.parent.mkdir(parents=True)
    cache.write_bytes(CONTENTS[1])
    return shirts


@pytest.fixture
def copied(made, tmp_path):
    """A copy of it, and the file of keys."""
    from feast import FeatureStore

    shutil.copytree(made.folder.parent, tmp_path / "all")
    (tmp_path / "keys.csv").write_text(f"id\n{ANN}\n{EVE}\n")
    return FeatureStore(str(tmp_path / "all" / "shirts")), tmp_path / "keys.csv"


def met(folder):
    """Return the files that have something of the forgotten."""
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and any(one in path.read_bytes() for one in CONTENTS)
    ]


def test_no_byte_of_them_is_left_and_history_is_unchanged_for_the_others(copied):
    store, keys = copied
    table = table_of(store)
    assert len(met(store.repo_path)) >= 7
    before, commits = history(table), len(table.commits())
    rejects = read_rejects(table)
    done = forget(store, "deep", keys)
    assert met(store.repo_path) == []
    assert (done.keys, done.unknown, done.rows, done.online) == (2, 0, {"1": 2, "2": 2}, 2)
    assert (done.rejects, len(done.caches), done.tombstones) == (2, 1, 2)
    assert [version.number for version in list_versions(table)] == [1, 2]
    assert len(table.commits()) == commits + 1
    assert history(table) == before
    others = rejects.filter([key == "bad" for key in rejects["id"].to_pylist()])
    assert read_rejects(table).sort_by("run_id").equals(others.sort_by("run_id"))
    certificate = json.loads(Path(done.path).read_text())
    assert certificate["rows"] == {"1": 2, "2": 2}
    assert [one["what"] for one in certificate["remains"]] == ["2 rows of the raw source 'raw'"]


def test_figures_of_the_view_are_named_as_what_remains(copied):
    store, keys = copied
    figures = {"project_id": "shirts", "feature_view_name": "deep", "feature_name": "vec"}
    Record(store.config, "feature").save([{**figures, "metric_date": START.date()}])
    remains = forget(store, "deep", keys).remains
    assert [one.what for one in remains[1:]] == [str(Record(store.config, "feature").path)]


def test_later_runs_and_lookups_leave_them_out_and_the_others_are_served(copied):
    store, keys = copied
    forget(store, "deep", keys)
    from deepfeast.pipelines.embed import embed

    assert embed(store, "deep").version is None
    assert embed(store, "deep", rebuild=True, allowed_rejects=1).rows == len(ROWS) - 2
    store.materialize(START, END)
    online = OnlineFeatures(store, "model")
    looked = [{"id": key} for key in (ANN, OTHERS[1])]
    assert online.frame(looked)["vec_000"].isna().tolist() == [True, False]
    # Whoever gives the text again is answered, and nothing of it is kept.
    given = online.frame([{"id": ANN, "title": TITLE}, {"id": "new", "title": "tie"}], push=True)
    assert given["vec_000"].tolist() == [201, 3]
    assert online.frame([{"id": ANN}, {"id": "new"}])["vec_000"].isna().tolist() == [True, False]
    assert met(store.repo_path) == []


@pytest.mark.parametrize("online_store", ["redis", "postgres"], indirect=True)
def test_other_online_stores_have_nothing_of_them_either(copied, online_store):
    import yaml
    from feast import FeatureStore

    store, keys = copied
    path = store.repo_path / "feature_store.yaml"
    config = {**yaml.safe_load(path.read_text()), "online_store": online_store}
    path.write_text(yaml.safe_dump(config))
    store = FeatureStore(str(store.repo_path))
    view = store.get_feature_view("deep")
    store.provider.online_store.update(store.config, [], [view], [], [], partial=True)
    store.materialize(START, END)
    assert any(one in contents(online_store) for one in CONTENTS)
    done = forget(store, "deep", keys)
    assert done.online == 2
    found = contents(online_store)
    assert OTHERS[0].encode() in found
    assert not [one for one in CONTENTS if one in found]
    assert [one.what for one in done.remains][-1] == "of the online store"
    store.teardown()


def contents(config):
    """Return all bytes that an online store holds."""
    if config["type"] == "redis":
        import redis

        client = redis.Redis(port=int(config["connection_string"].split(":")[1].split(",")[0]))
        hashes: dict[Any, Any] = {key: client.hgetall(key) for key in client.scan_iter()}
        return b"".join(key + b"".join(values.values()) for key, values in hashes.items())
    import psycopg

    # On disk: what a table was written in before stays there until a checkpoint.
    with psycopg.connect(
        host=config["host"], port=config["port"], user="feast", dbname="postgres", autocommit=True
    ) as db:
        db.execute("CHECKPOINT")
        ((folder,),) = db.execute("SHOW data_directory").fetchall()
    tables = [path for path in (Path(folder) / "base").rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in tables)


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def forget_and_die(folder, keys, where, name):
    import importlib

    from feast import FeatureStore

    owner = importlib.import_module(where)
    for part in name.split(".")[:-1]:
        owner = getattr(owner, part)
    setattr(owner, name.split(".")[-1], die)
    forget(FeatureStore(folder), "deep", keys)


EMBEDDINGS = "deepfeast.transforms.embeddings"
PLACES = [
    ("deepfeast.pipelines.forget.job", "Tombstones.write"),
    (f"{EMBEDDINGS}.table", "EmbeddingTable.publish"),
    (f"{EMBEDDINGS}.erase", "sweep"),
    (f"{EMBEDDINGS}.rejects", "_trim"),
    ("deepfeast.transforms.online.sqlite", "SqliteTable.remove"),
    ("deepfeast.pipelines.forget.job", "Forgetting._certify"),
]


@pytest.mark.parametrize(("where", "name"), PLACES, ids=[name for _, name in PLACES])
def test_killed_anywhere_it_goes_on_at_the_next_call(copied, where, name):
    store, keys = copied
    table = table_of(store)
    before = rows(table)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["feast", "deepfeast.pipelines.forget.job", "deltalake"])
    process = context.Process(target=forget_and_die, args=(str(store.repo_path), keys, where, name))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert any("forget" in finding.mend for finding in diagnose(store))
    done = forget(store, "deep")
    assert met(store.repo_path) == []
    assert (done.keys, done.rows, done.rejects, done.online) == (2, {"1": 2, "2": 2}, 2, 2)
    assert len(done.caches) == 1
    assert rows(table).equals(before)
    assert not begun_forgetting(table.uri).exists()
    with pytest.raises(SpecError, match="no call for view 'deep' was left unfinished"):
        forget(store, "deep")


def test_a_call_with_other_keys_first_finishes_the_one_that_was_killed(copied, monkeypatch):
    store, keys = copied

    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "erase_rows", stop)
        with pytest.raises(KeyboardInterrupt) as interrupted:
            forget(store, "deep", keys)
    assert "by the next deepfeast forget deep" in interrupted.value.__notes__[0]
    keys.write_text(f"id\n{OTHERS[0]}\n")
    done = forget(store, "deep", keys)
    assert (done.keys, done.rows, done.tombstones) == (1, {"1": 1, "2": 1}, 3)
    assert len(list((table_of(store).scratch / "certificates").iterdir())) == 2
    assert met(store.repo_path) == []


def test_unknown_keys_stop_it_before_anything_is_done(copied):
    store, keys = copied
    keys.write_text(f"id\n{ANN}\nKey-of-ann\n")
    with pytest.raises(
        JoinError, match=r"1 of 2 keys .* unknown to view 'deep'.*line 3: Key-of-ann"
    ):
        forget(store, "deep", keys)
    assert len(rows(table_of(store))) == 4
    assert not begun_forgetting(table_of(store).uri).exists()
    done = forget(store, "deep", keys, allow_unknown=True)
    assert (done.keys, done.unknown, done.tombstones) == (2, 1, 2)
    # What is forgotten already is nowhere, and not unknown.
    assert forget(store, "deep", keys).unknown == 0


def test_it_waits_for_nobody(copied):
    store, keys = copied
    with table_of(store).held("run 7"), pytest.raises(RunInProgress, match="run 7"):
        forget(store, "deep", keys)


def test_a_key_can_be_forgotten_before_it_was_ever_embedded(shirts, tmp_path):
    shirts.write([{"id": ANN, "title": TITLE}, {"id": "b", "title": "hat"}])
    (tmp_path / "keys.csv").write_text(f"id\n{ANN}\n")
    done = forget(shirts.store, "deep", tmp_path / "keys.csv")
    assert (done.rows, done.files) == ({}, 0)
    assert shirts.embed().rows == 1


def test_a_key_of_several_parts_is_forgotten_and_keys_that_share_a_part_are_not(tmp_path):
    from feast import Entity, FeatureStore, FileSource, ValueType

    from deepfeast.pipelines.embed import embed
    from deepfeast.transforms import DeepFeature, deep_feature_view

    (tmp_path / "feature_store.yaml").write_text(
        "project: two\nregistry: registry.db\nprovider: local\n"
        f"batch_engine: {{type: {ENGINE['type']}}}\n"
        "online_store: {type: sqlite, path: online.db}\nentity_key_serialization_version: 3\n"
    )
    (tmp_path / "raw.csv").write_text(
        f"shop,ts,id,title\n7,2024-01-02,007,{TITLE}\n8,2024-01-02,007,hat\n7,2024-01-02,07,tie\n"
    )
    entities = [
        Entity(name="shops", join_keys=["shop"], value_type=ValueType.INT64),
        Entity(name="things", join_keys=["id"], value_type=ValueType.STRING),
    ]
    source = FileSource(name="raw", path="raw.csv", timestamp_field="ts")
    vec = DeepFeature("vec", column="title", encoder=WORDS, storage="int8")
    deep = deep_feature_view(name="deep", entities=entities, source=source, features=[vec])
    store = FeatureStore(str(tmp_path))
    store.apply([*entities, source, deep])
    store.materialize(START, END)
    keys = tmp_path.parent / f"{tmp_path.name}.csv"
    keys.write_text("id,shop\n007,7\n")
    done = forget(store, "deep", keys)
    assert (done.rows, done.online, done.unknown) == ({"1": 1}, 1, 0)
    left = table_of(store).must_exist().to_pyarrow_table(columns=["shop", "id"]).to_pylist()
    assert left == [{"shop": 8, "id": "007"}, {"shop": 7, "id": "07"}]
    asked = [{"shop": 7, "id": "007"}, {"shop": 8, "id": "007"}, {"shop": 7, "id": "07"}]
    frame = OnlineFeatures(store, ["deep:vec"]).frame(asked)
    assert frame["vec_000"].isna().tolist() == [True, False, False]
    assert embed(store, "deep").version is None


def test_a_source_that_is_gone_is_no_hindrance_and_is_named(copied):
    store, keys = copied
    (store.repo_path.parent / "raw.parquet").unlink()
    done = forget(store, "deep", keys)
    assert met(store.repo_path) == []
    assert done.remains[0].why == "it could not be read"
