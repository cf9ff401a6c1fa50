"""Raw rows out of a warehouse: all of them once, and then only what is newer."""

import functools
import http.server
import threading
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from feast import Entity, FeatureService, ValueType

from deepfeast.pipelines.embed import embed
from deepfeast.pipelines.forget.job import forget
from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms import DeepFeature, deep_feature_view, training_frame
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.errors import (
    ColumnNotFound,
    SourceEmpty,
    SourceError,
    SourceNotFound,
    SpecError,
    TooManyRejects,
)
from deepfeast.transforms.warehouse import postgres as dialect

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)
SHIRT = Entity(name="shirt", join_keys=["id"], value_type=ValueType.STRING)
SHIRTS = """
    CREATE TABLE shirts (id text, "At" timestamptz, written timestamptz, title text);
    INSERT INTO shirts VALUES
        ('a', '2024-05-01 12:00Z', '2024-03-01 12:00Z', 'red shirt'),
        ('b', '2024-05-02 12:00Z', '2024-04-01 12:00Z', 'blue hat'),
        ('c', '2024-05-03 12:00Z', '2024-05-03 12:00Z', NULL)
"""


class Shop:
    """A repo whose raw titles lie in PostgreSQL."""

    def __init__(self, make_store, postgres, source=None, created="written", **offline):
        self.postgres = postgres
        postgres.run(SHIRTS)
        self.source = source or postgres.source("shirts", "At", created_timestamp_column=created)
        block = {"type": STORE, "warehouse": postgres.block, **offline}
        self.store = make_store(offline_store=block)
        self.declare(WORDS)

    def declare(self, encoder, **options):
        view = deep_feature_view(
            name="deep",
            entities=[SHIRT],
            source=self.source,
            features=[DeepFeature("vec", column="title", encoder=encoder, **options)],
        )
        service = FeatureService(name="wear", features=[view])
        self.store.apply([SHIRT, self.source, view, service])

    def add(self, *rows):
        self.postgres.run(f"INSERT INTO shirts VALUES {', '.join(map(str, rows))}")

    def embed(self, **options):
        return embed(self.store, "deep", **options)

    def vectors(self):
        table = embedding_table(self.store, self.store.get_feature_view("deep"))
        rows = table.dataset(table.open()).to_table().to_pylist()
        rows.sort(key=lambda row: (row["At"], row["created_timestamp"]))
        return {row["id"]: row["vec"] for row in rows}


@pytest.fixture
def shop(make_store, postgres):
    return Shop(make_store, postgres)


@pytest.fixture(params=["driver", "windows"])
def way(request, monkeypatch):
    """By the driver that streams, and by Feast's store in windows of time."""
    if request.param == "windows":
        monkeypatch.setattr(dialect, "streams", lambda: False)
        monkeypatch.setattr("deepfeast.transforms.warehouse.pull.WINDOW_ROWS", 1)
    elif not dialect.streams():
        pytest.skip("adbc-driver-postgresql is not installed")


def test_a_table_is_embedded_and_its_vectors_stand_beside_labels(shop, way):
    run = shop.embed()
    assert (run.source_rows, run.rows, run.encoded, run.missing) == (3, 3, 2, 1)
    assert shop.vectors() == {"a": [3, 5], "b": [4, 3], "c": None}
    labels = pd.DataFrame({"id": ["b", "a"], "event_timestamp": [NOON] * 2})
    frame = training_frame(shop.store, labels, service="wear")
    assert frame[["vec_000", "vec_001"]].to_numpy().tolist() == [[4, 3], [3, 5]]


def test_the_next_run_reads_only_what_is_newer(shop, way):
    shop.embed()
    shop.postgres.run("UPDATE shirts SET title = 'never seen' WHERE id = 'a'")  # not told of it
    run = shop.embed()
    assert (run.source_rows, run.version) == (1, None)  # the newest row is within the overlap
    shop.add(("d", "2020-01-01Z", "2024-05-03 12:01Z", "green"))  # old, but written now
    shop.add(("a", "2024-05-01 12:00Z", "2024-05-09Z", "black"))
    run = shop.embed()
    assert (run.source_rows, run.rows) == (3, 2)
    assert shop.vectors() == {"a": [5, 0], "b": [4, 3], "c": None, "d": [5, 0]}
    assert shop.embed().source_rows == 1


def test_what_was_committed_late_is_within_the_overlap(make_store, postgres):
    shop = Shop(make_store, postgres, overlap=7200)
    shop.embed()
    shop.add(("d", "2024-05-01Z", "2024-05-03 10:01Z", "late"))
    shop.add(("e", "2024-05-01Z", "2024-05-01 09:59Z", "too late"))
    run = shop.embed()
    assert (run.source_rows, run.rows) == (2, 1)
    assert "d" in shop.vectors()


def test_rows_of_no_created_time_are_always_read(shop):
    shop.embed()
    shop.postgres.run("INSERT INTO shirts VALUES ('d', '2024-05-01Z', NULL, 'when')")
    assert (shop.embed().rows, shop.embed().source_rows) == (1, 2)


def test_nothing_newer_than_the_overlap_is_no_fault(shop):
    shop.embed()
    shop.postgres.run("DELETE FROM shirts")
    run = shop.embed()
    assert (run.source_rows, run.rows, run.version) == (0, 0, None)
    assert len(shop.vectors()) == 3


def test_without_a_created_column_all_is_read_and_only_news_encoded(make_store, postgres, way):
    shop = Shop(make_store, postgres, created="")
    shop.embed()
    shop.add(("d", "2020-01-01Z", "2020-01-01Z", "green"))
    run = shop.embed()
    assert (run.source_rows, run.rows, run.encoded) == (4, 1, 1)


def test_a_window_is_read_whole_and_says_nothing_of_other_rows(shop, way):
    run = shop.embed(until=datetime(2024, 5, 2, tzinfo=timezone.utc))
    assert (run.rows, sorted(shop.vectors())) == (1, ["a"])
    assert shop.embed().rows == 2
    shop.postgres.run("UPDATE shirts SET title = 'seen again' WHERE id = 'a'")
    assert shop.embed(since=datetime(2020, 1, 1)).rows == 1
    assert shop.embed().source_rows == 1  # what was known before the window still holds


def test_a_rebuild_and_another_query_read_all(shop):
    shop.embed()
    assert shop.embed(rebuild=True).source_rows == 3
    query = type(shop.source)(
        name="shirts",
        query='SELECT id, "At", written, upper(title) AS title FROM shirts',
        timestamp_field="At",
        created_timestamp_column="written",
    )
    shop.source = query
    shop.declare(WORDS)
    run = shop.embed()
    assert (run.source_rows, run.rows) == (3, 2)


def test_a_clock_that_runs_ahead_hides_no_rows(shop):
    shop.add(("d", "2024-05-01Z", "2099-01-01Z", "future"))
    shop.embed()
    now = datetime.now(timezone.utc)
    shop.add(("e", "2024-05-01Z", now.isoformat(), "now"))
    assert shop.embed().rows == 1


def test_rows_without_key_or_time_are_rejects_as_of_files(shop, way):
    shop.postgres.run(
        "INSERT INTO shirts SELECT 'x' || n, '2024-05-01Z', '2024-05-01Z', 'x' "
        "FROM generate_series(1, 60) n",
        "INSERT INTO shirts VALUES ('d', NULL, '2024-05-01Z', 'no time')",
        "INSERT INTO shirts VALUES (NULL, '2024-05-01Z', '2024-05-01Z', 'no key')",
    )
    run = shop.embed()
    assert {reason: found["count"] for reason, found in run.reasons.items()} == {
        "time_missing": 1,
        "key_missing": 1,
    }
    assert run.rows == 63
    assert shop.embed().source_rows == 1  # such rows stay as they are


def test_a_read_that_is_cut_off_publishes_nothing_and_the_next_goes_on(shop, monkeypatch):
    def cut_off(warehouse, sql, stream=dialect.stream):
        rows = stream(warehouse, sql)
        yield next(rows)
        raise ConnectionError("server closed the connection unexpectedly")

    if not dialect.streams():
        pytest.skip("adbc-driver-postgresql is not installed")
    shop.embed()
    before = shop.vectors()
    shop.add(("d", "2024-05-01Z", "2024-05-09Z", "green"))
    with monkeypatch.context() as patch:
        patch.setattr(dialect, "stream", cut_off)
        with pytest.raises(SourceNotFound, match=r"source 'shirts': .*stopped to .*Run again"):
            shop.embed()
    assert shop.vectors() == before
    assert shop.embed().rows == 1


def test_what_is_wrong_is_told_by_name(shop):
    shop.embed()
    shop.postgres.run("ALTER TABLE shirts RENAME title TO name")
    with pytest.raises(ColumnNotFound, match=r"'title' in source 'shirts' of the postgres ware"):
        shop.embed()
    shop.postgres.run("ALTER TABLE shirts RENAME name TO title")
    shop.postgres.run("ALTER TABLE shirts ALTER title TYPE int USING 5")
    with pytest.raises(SourceError, match="'title' of source 'shirts' is int32"):
        shop.embed(rebuild=True)
    shop.postgres.run("DELETE FROM shirts")
    with pytest.raises(SourceEmpty, match=r"'shirts' \(postgres://.*\.shirts\) has no rows"):
        shop.embed(rebuild=True)
    shop.postgres.run("DROP TABLE shirts")
    with pytest.raises(SourceNotFound, match=r"'shirts': .* has no such table"):
        shop.embed()


def test_too_many_rejects_leave_the_mark_where_it_was(shop):
    shop.embed()
    shop.add(("d", "2024-05-01Z", "2024-05-09Z", "green"))
    shop.postgres.run(
        "INSERT INTO shirts SELECT NULL, '2024-05-01Z', '2024-05-09Z', 'no key' "
        "FROM generate_series(1, 4)"
    )
    with pytest.raises(TooManyRejects):
        shop.embed()
    assert shop.embed(allowed_rejects=1.0).rows == 1


def test_a_view_of_a_warehouse_needs_one(make_store, postgres):
    postgres.run(SHIRTS)
    source = postgres.source("shirts", "At")
    features = [DeepFeature("vec", column="title", encoder=WORDS)]
    view = deep_feature_view(name="deep", entities=[SHIRT], source=source, features=features)
    store = make_store(SHIRT, source, view)
    with pytest.raises(SpecError, match="this repo names no warehouse"):
        embed(store, "deep")


def test_the_engine_embeds_and_the_doctor_sees_what_is_newer(make_store, postgres):
    from deepfeast.pipelines.doctor import diagnose
    from deepfeast.transforms import OnlineFeatures

    shop = Shop(make_store, postgres)
    engine = {"type": "deepfeast.pipelines.engine.BeamEngine"}
    shop.store = make_store(
        offline_store={"type": STORE, "warehouse": postgres.block}, batch_engine=engine
    )
    shop.store.materialize(NOON - timedelta(days=30), NOON)
    found = OnlineFeatures(shop.store, service="wear").frame([{"id": "b"}, {"id": "c"}])
    np.testing.assert_array_equal(found[["vec_000", "vec_001"]], [[4, 3], [np.nan, np.nan]])
    shop.add(("d", "2024-05-04Z", "2024-05-04Z", "green"))
    told = [finding.what for finding in diagnose(shop.store)]
    assert any("its source has rows up to 2024-05-04" in what for what in told)


@pytest.mark.parametrize("kind", ["text", "bytea"])
def test_photos_are_paths_or_bytes_and_one_that_lies_elsewhere_is_asked_for_again(
    make_store, postgres, tmp_path, kind
):
    from PIL import Image

    folder = tmp_path / "repo"
    folder.mkdir(exist_ok=True)
    for colour in ("red", "blue"):
        Image.new("RGB", (8, 8), colour).save(folder / f"{colour}.png")
    good = (folder / "red.png").read_bytes().hex()
    cells = ("'red.png'", "'lost.png'") if kind == "text" else (f"'\\x{good}'", "'\\x00'")
    postgres.run(
        f"CREATE TABLE photos (id text, at timestamptz, written timestamptz, photo {kind})",
        f"INSERT INTO photos VALUES ('a', '2024-05-01Z', '2024-05-01Z', {cells[0]})",
        f"INSERT INTO photos VALUES ('b', '2024-05-01Z', '2024-05-09Z', {cells[1]})",
    )
    source = postgres.source("photos", "at", created_timestamp_column="written")
    features = [DeepFeature("vec", column="photo", encoder="image-tiny")]
    view = deep_feature_view(name="deep", entities=[SHIRT], source=source, features=features)
    store = make_store(
        SHIRT, source, view, offline_store={"type": STORE, "warehouse": postgres.block}
    )
    run = embed(store, "deep", allowed_rejects=1.0)
    assert (run.encoded, run.rejected) == (1, 1)
    if kind == "bytea":  # it stays what it is
        assert embed(store, "deep", allowed_rejects=1.0).source_rows == 1
        return
    assert embed(store, "deep", allowed_rejects=1.0).source_rows == 2
    (folder / "blue.png").rename(folder / "lost.png")
    assert embed(store, "deep").rows == 1
    assert embed(store, "deep").source_rows == 1


def test_forgotten_keys_stay_out_while_the_warehouse_has_them(shop, tmp_path):
    shop.embed()
    shop.add(("d", "2024-05-01Z", "2024-05-03 12:01Z", "green"))
    (tmp_path / "keys.csv").write_text("id\na\nd\n")
    done = forget(shop.store, "deep", tmp_path / "keys.csv")
    assert (done.rows, done.unknown) == ({"1": 1}, 0)
    assert done.remains[0].what.startswith("2 rows of the raw source")
    shop.embed(rebuild=True)
    assert shop.vectors() == {"b": [4, 3], "c": None}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_photos_by_url_are_fetched_and_one_that_was_gone_is_asked_for_again(
    make_store, postgres, tmp_path, monkeypatch
):
    from PIL import Image

    from deepfeast.transforms.cells import reader

    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    # The test's only server is on this machine: its address stands for a public one.
    monkeypatch.setattr(reader, "is_public", lambda address: address == "127.0.0.1")
    page = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site = f"http://127.0.0.1:{server.server_port}"
        postgres.run(
            'CREATE TABLE shirts (id text, "At" timestamptz, written timestamptz, title text)',
            f"INSERT INTO shirts VALUES ('a', '2024-05-01Z', '2024-05-01Z', '{site}/red.png'), "
            f"('b', '2024-05-01Z', '2024-05-09Z', '{site}/late.png')",
        )
        source = postgres.source("shirts", "At", created_timestamp_column="written")
        feature = DeepFeature(
            "vec", column="title", encoder="image-tiny", allow_hosts=["127.0.0.1"]
        )
        view = deep_feature_view(name="deep", entities=[SHIRT], source=source, features=[feature])
        store = make_store(
            SHIRT, source, view, offline_store={"type": STORE, "warehouse": postgres.block}
        )
        run = embed(store, "deep", allowed_rejects=1.0)
        assert (run.encoded, run.rejected) == (1, 1)
        Image.new("RGB", (8, 8), "blue").save(tmp_path / "late.png")
        again = embed(store, "deep")
        server.shutdown()
    assert (again.source_rows, again.encoded, again.rejected) == (2, 1, 0)
