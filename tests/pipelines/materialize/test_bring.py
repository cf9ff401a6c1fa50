"""The store knows what it holds, whatever was rebuilt, rolled back or killed in between.

A kill is real: a process of its own ends itself with SIGKILL at one place.
"""

import functools
import multiprocessing
import os
import signal
from datetime import datetime, timedelta, timezone

import pytest

from deepfeast.transforms import OnlineFeatures
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.versions import rollback
from deepfeast.transforms.errors import SignatureMismatch, SpecError
from deepfeast.transforms.online.redis import RedisTable
from deepfeast.transforms.online.sqlite import SqliteTable
from deepfeast.transforms.signatures import signature

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
NOW = datetime.now(timezone.utc)
MINUTE = timedelta(minutes=1)
WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
THREE = "python:deepfeast.transforms.testing:WordLengths?dim=3"
SERVED = ["deep:vec"]
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    ["feast", "deepfeast.pipelines.engine", "deepfeast.pipelines.materialize.bring"]
)


@pytest.fixture
def shirts(shirts):
    """The repo about shirts, with the engine in its feature_store.yaml."""
    engine = "{type: deepfeast.pipelines.engine.BeamEngine, batch_rows: 1}"
    configure(shirts, "", f"batch_engine: {engine}")
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "blue tie"}])
    return shirts


def configure(shirts, old, new):
    """Replace a line of feature_store.yaml, or add one, and open the repo again."""
    from feast import FeatureStore

    path = shirts.folder / "feature_store.yaml"
    lines = [line for line in path.read_text().splitlines() if line != old]
    path.write_text("\n".join([*lines, new, ""]))
    shirts.store = FeatureStore(str(shirts.folder))


def vectors(shirts, *ids, **options):
    online = OnlineFeatures(shirts.folder, SERVED, **options)
    return online.matrix([{"id": name} for name in ids or "ab"])[0].tolist()


def test_after_a_rebuild_and_a_rollback_the_store_serves_what_it_says(shirts, caplog):
    store = shirts.store
    shirts.embed()
    store.materialize_incremental(NOW)
    old = signature(store, SERVED)
    assert vectors(shirts, expect=old) == [[3, 5], [4, 3]]

    shirts.declare(THREE)
    shirts.embed(rebuild=True)
    new = signature(store, SERVED)
    with pytest.raises(SignatureMismatch):
        vectors(shirts, expect=new)  # not online yet
    store.materialize_incremental(NOW + MINUTE)
    assert vectors(shirts, expect=new) == [[3, 5, 0], [4, 3, 0]]

    rollback(embedding_table(store, store.get_feature_view("deep")), 1)
    shirts.declare(WORDS)
    with pytest.raises(SignatureMismatch, match="in the online store"):
        vectors(shirts, expect=old)  # the table has them, the store does not
    caplog.clear()
    store.materialize_incremental(NOW + 2 * MINUTE)
    assert vectors(shirts, expect=old) == [[3, 5], [4, 3]]
    assert "are of version 2 of its table, which is at 1; all of them are written" in caplog.text


def test_an_unchanged_table_is_added_to_and_served_all_along(shirts, caplog):
    shirts.store.materialize_incremental(NOW)
    online = OnlineFeatures(shirts.folder, SERVED, expect=signature(shirts.store, SERVED))
    seen, write = [], SqliteTable.write_newer

    def looked_at(table, rows, epoch=None):
        seen.append(online.matrix([{"id": "a"}])[0].tolist())
        return write(table, rows, epoch)

    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "c", "title": "a bow"}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteTable, "write_newer", looked_at)
        shirts.store.materialize_incremental(NOW + MINUTE)
    assert seen == [[[3, 5]]]
    assert vectors(shirts, "c") == [[1, 3]]
    assert "anew" not in caplog.text


def test_what_was_embedded_before_the_last_materialization_ended_is_not_skipped(shirts):
    """A run that takes long is dated by its beginning: by its rows' times alone they seem old."""
    shirts.store.materialize_incremental(NOW)
    ahead = NOW + timedelta(days=1)
    shirts.store.materialize_incremental(ahead)
    shirts.write([{"id": "a", "title": "pale shirt"}])
    shirts.store.materialize_incremental(ahead + MINUTE)
    assert vectors(shirts, "a") == [[4, 5]]


def test_the_past_brought_online_leaves_news_for_the_next_increment(shirts):
    shirts.store.materialize_incremental(NOW)
    day = timedelta(days=1)
    late = [
        {"id": "a", "title": "long shirt", "event_timestamp": START + day},
        {"id": "b", "title": "new tie", "event_timestamp": START + 9 * day},
    ]
    shirts.write(late)
    shirts.store.materialize(START, START + 2 * day)
    assert vectors(shirts) == [[4, 5], [4, 3]]
    shirts.store.materialize_incremental(NOW + MINUTE)
    assert vectors(shirts) == [[4, 5], [3, 3]]


def test_vectors_pushed_by_a_lookup_go_with_their_encoder(shirts):
    shirts.store.materialize_incremental(NOW)
    online = OnlineFeatures(shirts.folder, SERVED)
    online.matrix([{"id": "new", "title": "wool hat"}], push=True)
    assert vectors(shirts, "new") == [[4, 3]]
    shirts.declare(THREE)
    shirts.embed(rebuild=True)
    shirts.store.materialize_incremental(NOW + MINUTE)
    assert vectors(shirts, "a", "new")[0] == [3, 5, 0]
    assert str(vectors(shirts, "new")[0][0]) == "nan"
    with pytest.raises(SignatureMismatch, match=r"has 3 numbers, expected 2\. Open it again"):
        online.matrix([{"id": "a"}])
    with pytest.raises(SignatureMismatch, match="declares another"):
        online.matrix([{"id": "newer", "title": "wool hat"}], push=True)


def test_a_column_declared_anew_is_written_anew(shirts, caplog):
    shirts.store.materialize_incremental(NOW)
    rows = [{"id": "a", "title": "red shirt", "brand": "No One"}]
    shirts.write([*rows, {"id": "b", "title": "blue tie", "brand": None}])
    shirts.features = {"vec": "brand"}
    shirts.declare(WORDS)
    shirts.store.materialize_incremental(NOW + MINUTE)
    assert "are of another declaration than its table; all of them are" in caplog.text
    assert vectors(shirts, "a") == [[2, 3]]


def test_a_store_that_cannot_be_emptied_keeps_what_it_has(shirts, monkeypatch):
    """Feast's interface alone, here over SQLite."""
    from deepfeast.transforms import feast_api

    monkeypatch.setattr(feast_api, "can_speak_to", lambda store, kind: False)
    shirts.store.materialize_incremental(NOW)
    trained = signature(shirts.store, SERVED)
    assert vectors(shirts, expect=trained) == [[3, 5], [4, 3]]
    shirts.declare("python:deepfeast.transforms.testing:TextSums?dim=2")
    shirts.embed(rebuild=True)
    with pytest.raises(SpecError, match="Give the view a new name"):
        shirts.store.materialize_incremental(NOW + MINUTE)
    assert vectors(shirts, expect=trained) == [[3, 5], [4, 3]]


def kill_at(folder, place, end):
    """Materialize, and die at a place: a method of a table of this kind, before or after."""
    from feast import FeatureStore

    owner, name, when = place
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(*args, **kwargs):
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, method)
    FeatureStore(str(folder)).materialize_incremental(end)


@pytest.mark.parametrize("kind", [SqliteTable, RedisTable])
def test_wherever_it_is_killed_no_vector_is_served_for_another(shirts, kind, request):
    places = [("begin", "after"), ("write_newer", "after"), ("finish", "before")]
    if kind is RedisTable:
        port = request.getfixturevalue("redis_port")
        settings = f"online_store: {{type: redis, connection_string: '127.0.0.1:{port},db=1'}}"
        configure(shirts, "online_store: {type: sqlite, path: online.db}", settings)
        places = [("_scan", "before"), ("write_newer", "after"), ("finish", "after")]
    store = shirts.store
    store.materialize_incremental(NOW)
    old = signature(store, SERVED)
    shirts.declare("python:deepfeast.transforms.testing:TextSums?dim=2")
    shirts.embed(rebuild=True)
    new = signature(store, SERVED)
    lengths, sums, refused = [[3, 5], [4, 3]], [*shirts.vectors().values()], "refused"
    served = [[answer(shirts, expect) for expect in (old, new, None)]]
    for name, when in places:
        place = kind, name, when
        process = context.Process(target=kill_at, args=(shirts.folder, place, NOW + MINUTE))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
        served.append([answer(shirts, expect) for expect in (old, new, None)])
    half, done = [refused, refused, refused], [refused, sums, sums]
    last = done if places[-1] == ("finish", "after") else half
    assert served == [[lengths, refused, lengths], half, half, last]
    store.materialize_incremental(NOW + MINUTE)
    assert answer(shirts, new) == sums


def answer(shirts, expect):
    try:
        return vectors(shirts, expect=expect)
    except SignatureMismatch:
        return "refused"
