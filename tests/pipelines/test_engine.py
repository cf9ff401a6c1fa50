"""``feast materialize`` through Beam, on real repos: what lands online, and what never does."""

import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.errors import SpecError

ENGINE = {"type": "deepfeast.pipelines.engine.BeamEngine", "runner": "FnApiRunner"}
DAY = timedelta(days=1)
START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def table(*rows):
    """Rows of (shop_id, day, size, vec)."""
    ids, days, sizes, vectors = zip(*rows, strict=True)
    return pa.table(
        {
            "shop_id": pa.array(ids, pa.string()),
            "at": pa.array([START + day * DAY for day in days], pa.timestamp("us", "UTC")),
            "size": pa.array(sizes, pa.int64()),
            "vec": pa.array(vectors, VECTOR_TYPE),
        }
    )


def shops(source, **view):
    """The entity and the view over a source."""
    from feast import Entity, FeatureService, FeatureView, Field, ValueType
    from feast.types import Array, Float32, Int64

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    fields = [
        Field(name="size", dtype=Int64),
        Field(name="vec", dtype=Array(Float32), vector_length=2),
    ]
    shops = FeatureView(
        name="shops", entities=[shop], schema=fields, source=source, ttl=0 * DAY, **view
    )
    return [shop, source, shops, FeatureService(name="model", features=[shops])]


def online(store, *ids):
    """What the online store holds, through Feast's own eyes."""
    answer = store.get_online_features(
        ["shops:size", "shops:vec"], [{"shop_id": name} for name in ids]
    ).to_dict()
    return dict(zip(ids, zip(answer["size"], answer["vec"], strict=True), strict=True))


@pytest.fixture
def parquet_store(make_store, tmp_path):
    from feast import FileSource

    path = tmp_path / "shops.parquet"

    def make(*rows, engine=ENGINE, **view):
        pq.write_table(table(*rows), path, row_group_size=2)
        source = FileSource(name="shops_file", path=str(path), timestamp_field="at")
        return make_store(
            *shops(source, **view), batch_engine=engine, offline_store={"type": "file"}
        )

    return make


def test_the_latest_row_in_the_span_is_served(parquet_store):
    store = parquet_store(
        ("a", 1, 10, [1.0, 2.0]),
        ("a", 2, 20, [3.0, 4.0]),
        ("a", 9, 90, [9.0, 9.0]),
        ("b", 1, None, None),
        (None, 1, 5, [5.0, 5.0]),
    )
    store.materialize(START, START + 5 * DAY)
    assert online(store, "a", "b", "c") == {
        "a": (20, [3.0, 4.0]),
        "b": (None, None),
        "c": (None, None),
    }


def test_delta_sources_are_read(make_store, tmp_path):
    from deltalake import write_deltalake
    from feast import FileSource
    from feast.data_format import DeltaFormat

    path = str(tmp_path / "delta")
    write_deltalake(path, table(("a", 1, 10, [1.0, 2.0])))
    write_deltalake(path, table(("a", 2, 20, [3.0, 4.0]), ("b", 2, 7, None)), mode="append")
    source = FileSource(name="d", path=path, file_format=DeltaFormat(), timestamp_field="at")
    store = make_store(*shops(source), batch_engine=ENGINE, offline_store={"type": "file"})
    store.materialize(START, START + 5 * DAY)
    assert online(store, "a", "b") == {"a": (20, [3.0, 4.0]), "b": (7, None)}


def test_an_older_span_overwrites_nothing(parquet_store):
    store = parquet_store(("a", 1, 10, [1.0, 2.0]), ("a", 3, 30, [3.0, 4.0]))
    store.materialize(START, START + 5 * DAY)
    store.materialize(START, START + 2 * DAY)
    assert online(store, "a") == {"a": (30, [3.0, 4.0])}


def test_a_runner_that_loses_rows_is_refused(parquet_store):
    store = parquet_store(("a", 1, 10, [1.0, 2.0]), engine={**ENGINE, "runner": "DaskRunner"})
    with pytest.raises(SpecError, match="rows would be lost"):
        store.materialize(START, START + 5 * DAY)


def test_a_worker_that_died_is_mended_by_running_again(parquet_store, monkeypatch):
    from deepfeast.transforms.online.sqlite import SqliteTable

    store = parquet_store(
        ("a", 1, 1, [1.0, 1.0]),
        ("b", 1, 2, [2.0, 2.0]),
        ("c", 1, 3, [3.0, 3.0]),
        engine={**ENGINE, "batch_rows": 1},
    )
    write, writes = SqliteTable.write_newer, []

    def dies(table, rows, epoch=None):
        writes.append(rows)
        if len(writes) == 2:
            raise OSError("the worker lost its power")
        return write(table, rows, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteTable, "write_newer", dies)
        with pytest.raises(Exception, match="lost its power"):
            store.materialize(START, START + 5 * DAY)
    assert online(store, "a", "b")["b"] == (None, None)
    assert store.get_feature_view("shops").most_recent_end_time is None

    store.materialize(START, START + 5 * DAY)
    assert [online(store, name)[name][0] for name in "abc"] == [1, 2, 3]
    assert store.get_feature_view("shops").most_recent_end_time == START + 5 * DAY


def test_a_mapped_field_a_created_time_and_two_keys(make_store, tmp_path):
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64

    path = tmp_path / "prices.parquet"
    rows = {
        "shop": ["a", "a", "a"],
        "item": pa.array([1, 1, 2], pa.int64()),
        "at": pa.array([START] * 3, pa.timestamp("ns")),
        "made": pa.array([START + 2 * DAY, START + DAY, START], pa.timestamp("us", "UTC")),
        "cents": [2.5, 1.5, 9.0],
    }
    pq.write_table(pa.table(rows), path)
    keys = [
        Entity(name="shop", join_keys=["shop"], value_type=ValueType.STRING),
        Entity(name="item", join_keys=["item"], value_type=ValueType.INT64),
    ]
    source = FileSource(
        name="p",
        path=str(path),
        timestamp_field="at",
        created_timestamp_column="made",
        field_mapping={"cents": "price"},
    )
    view = FeatureView(
        name="prices", entities=keys, schema=[Field(name="price", dtype=Float64)], source=source
    )
    store = make_store(*keys, source, view, batch_engine=ENGINE)
    store.materialize(START, START + DAY)
    asked = [{"shop": "a", "item": 1}, {"shop": "a", "item": 2}, {"shop": "a", "item": 3}]
    assert store.get_online_features(["prices:price"], asked).to_dict()["price"] == [2.5, 9.0, None]


def test_a_view_without_entities_has_one_row(make_store, tmp_path):
    from feast import FeatureView, Field, FileSource
    from feast.types import Int64

    from deepfeast.transforms import OnlineFeatures

    path = tmp_path / "world.parquet"
    times = pa.array([START, START + DAY], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"at": times, "visitors": [5, 8]}), path)
    source = FileSource(name="w", path=str(path), timestamp_field="at")
    fields = [Field(name="visitors", dtype=Int64)]
    store = make_store(
        source,
        FeatureView(name="world", entities=[], schema=fields, source=source),
        batch_engine=ENGINE,
    )
    store.materialize(START, START + 2 * DAY)
    frame = OnlineFeatures(store, ["world:visitors"]).frame([{}, {}])
    assert frame["visitors"].tolist() == [8, 8]


def test_sources_that_are_no_files_come_through_the_offline_store(parquet_store, monkeypatch):
    from deepfeast.pipelines.materialize import source

    store = parquet_store(("a", 1, 10, [1.0, 2.0]), ("a", 2, 20, [3.0, 4.0]), ("b", 9, 1, None))
    monkeypatch.setattr(source, "lies_in_files", lambda source: False)
    store.materialize(START, START + 5 * DAY)
    assert online(store, "a", "b") == {"a": (20, [3.0, 4.0]), "b": (None, None)}


def test_a_view_with_a_transformation_is_left_to_feast(make_store, tmp_path):
    from feast import Entity, Field, FileSource, ValueType
    from feast.batch_feature_view import BatchFeatureView
    from feast.types import Int64

    path = tmp_path / "shops.parquet"
    pq.write_table(table(("a", 1, 10, None)).drop(["vec"]), path)
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="s", path=str(path), timestamp_field="at")
    view = BatchFeatureView(
        name="doubled",
        entities=[shop],
        source=source,
        online=True,
        offline=False,
        schema=[Field(name="twice", dtype=Int64)],
        mode="pandas",
        udf=twice,
        udf_string="twice",
    )
    store = make_store(shop, source, view, batch_engine=ENGINE, offline_store={"type": "file"})
    store.materialize(START, START + 5 * DAY)
    answer = store.get_online_features(["doubled:twice"], [{"shop_id": "a"}]).to_dict()
    assert answer["twice"] == [20]


def twice(frame):
    return frame.assign(twice=frame["size"] * 2)


@pytest.fixture
def engine_shirts(shirts):
    """The repo about shirts, with the engine in its feature_store.yaml."""
    from feast import FeatureStore

    with (shirts.folder / "feature_store.yaml").open("a") as config:
        config.write(f"batch_engine: {{type: {ENGINE['type']}}}\n")
    shirts.store = FeatureStore(str(shirts.folder))
    return shirts


def vectors_online(store, *ids):
    answer = store.get_online_features(["deep:vec"], [{"id": name} for name in ids]).to_dict()
    return answer["vec"]


def test_deep_views_are_embedded_first(engine_shirts):
    store = engine_shirts.store
    engine_shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": None}])
    store.materialize(START, START + 5 * DAY)
    assert vectors_online(store, "a", "b") == [[3.0, 5.0], None]

    later = {"event_timestamp": START + 6 * DAY}
    engine_shirts.write(
        [{"id": "a", "title": "red shirt"}, {"id": "b", "title": "blue tie", **later}]
    )
    store.materialize_incremental(START + 7 * DAY)
    assert vectors_online(store, "a", "b") == [[3.0, 5.0], [4.0, 3.0]]


def test_what_was_embedded_again_arrives_though_its_events_are_old(engine_shirts):
    now = datetime.now(timezone.utc)
    engine_shirts.write([{"id": "a", "title": "red shirt"}])
    engine_shirts.store.materialize(START, now)
    engine_shirts.declare("python:deepfeast.transforms.testing:WordLengths?dim=3")
    with pytest.raises(Exception, match="--rebuild"):
        engine_shirts.store.materialize_incremental(now + timedelta(seconds=1))
    engine_shirts.embed(rebuild=True)
    engine_shirts.store.materialize_incremental(now + timedelta(minutes=1))
    assert vectors_online(engine_shirts.store, "a") == [[3.0, 5.0, 0.0]]


def test_feasts_own_command_runs_it(engine_shirts):
    engine_shirts.write([{"id": "a", "title": "red shirt"}])
    command = [sys.executable, "-W", "ignore", "-m", "feast.cli.cli", "-c", engine_shirts.folder]
    done = subprocess.run(
        [*command, "materialize", "2023-12-31T00:00:00", "2024-01-05T00:00:00"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert vectors_online(engine_shirts.store, "a") == [[3.0, 5.0]]


def test_what_is_written_is_byte_for_byte_what_feast_writes(parquet_store):
    import sqlite3

    rows = [("a", 1, 10, [1.0, 2.5]), ("b", 2, None, None), ("a", 3, -7, [0.1, -0.0])]
    found = []
    for engine in (ENGINE, "local"):
        store = parquet_store(*rows, engine=engine)
        path = store.config.online_store.path
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM shop_shops")
        connection.close()
        store.materialize(START, START + 5 * DAY)
        with sqlite3.connect(path) as connection:
            query = "SELECT * FROM shop_shops ORDER BY entity_key, feature_name"
            found.append(connection.execute(query).fetchall())
        connection.close()
    assert len(found[0]) == 4
    assert found[0] == found[1]


@pytest.mark.slow
def test_several_workers_write_at_once(parquet_store):
    workers = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
    store = parquet_store(
        *[(f"shop-{number}", 1, number, [float(number), 0.0]) for number in range(40)],
        engine={**ENGINE, "options": workers, "batch_rows": 3},
    )
    store.materialize(START, START + 5 * DAY)
    names = [f"shop-{number}" for number in range(40)]
    assert [size for size, _ in online(store, *names).values()] == list(range(40))
