"""Vectors kept as int8: a quarter of the bytes, and the same float32 numbers wherever one looks."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.embed import embed
from deepfeast.pipelines.forget.job import forget
from deepfeast.pipelines.materialize.verify import verify
from deepfeast.transforms import DeepFeature, OnlineFeatures, deep_feature_view, training_frame
from deepfeast.transforms.embeddings.compact import compact
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.versions import rollback
from deepfeast.transforms.errors import DeepfeastError
from deepfeast.transforms.int8 import round_to_int8, unpacked
from deepfeast.transforms.testing import TextSums

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
NOW = START + timedelta(days=9)
ENCODER = "python:deepfeast.transforms.testing:TextSums?dim=5"
TITLES = {"a": "red shirt", "b": None, "c": "blue hat", "d": "red shirt"}
FULL = TextSums(5).encode([title or "" for title in TITLES.values()])
FULL[1] = np.nan
ROUNDED = round_to_int8(FULL)
ASKED = pd.DataFrame({"id": [*TITLES], "event_timestamp": NOW})


def write(folder, titles, name="raw"):
    times = pa.array([START] * len(titles), pa.timestamp("us", "UTC"))
    rows = {"id": [*titles], "at": times, "title": [*titles.values()]}
    pq.write_table(pa.table(rows), folder / name / f"{len(titles)}.parquet")


def declare(store, storage):
    from feast import Entity, FeatureService, Field, FileSource, ValueType
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Float64

    item = Entity(name="item", join_keys=["id"], value_type=ValueType.STRING)
    source = FileSource(name="raw", path=str(store.config.repo_path / "raw"), timestamp_field="at")
    vec = DeepFeature("vec", column="title", encoder=ENCODER, storage=storage)
    deep = deep_feature_view(name="deep", entities=[item], source=source, features=[vec])

    @on_demand_feature_view(sources=[deep], schema=[Field(name="first", dtype=Float64)])
    def firsts(inputs):
        return pd.DataFrame({"first": [np.nan if v is None else v[0] for v in inputs["vec"]]})

    service = FeatureService(name="model", features=[deep, firsts])
    store.apply([item, source, deep, firsts, service])


@pytest.fixture
def make(make_store, tmp_path):
    """Return what declares the view in a repo of its own, with int8."""
    (tmp_path / "repo" / "raw").mkdir(parents=True)
    write(tmp_path / "repo", TITLES)

    def made(**options):
        engine = {"type": "deepfeast.pipelines.engine.BeamEngine"}
        store = make_store(batch_engine=engine, **options)
        declare(store, "int8")
        return store

    return made


def trained(store):
    frame = training_frame(store, ASKED, features=["deep:vec"])
    return frame[[f"vec_00{number}" for number in range(5)]].to_numpy()


def same(one, other):
    """Tell whether two matrices are equal to the bit, and missing in the same places."""
    one, other = np.asarray(one, np.float32), np.asarray(other, np.float32)
    there = ~np.isnan(other)
    return np.array_equal(np.isnan(one), ~there) and one[there].tobytes() == other[there].tobytes()


def test_every_reader_has_the_same_numbers(make, online_store):
    store = make(online_store=online_store)
    assert 0 < np.nanmax(np.abs(FULL - ROUNDED)) < 1 / 250

    store.materialize(START, NOW)
    table = embedding_table(store, store.get_feature_view("deep"))
    rows = table.must_exist().to_pyarrow_table().sort_by("id")
    assert [value and len(value) for value in rows["vec"].to_pylist()] == [7, None, 7, 7]

    assert same(trained(store), ROUNDED)
    asked = store.get_historical_features(ASKED, features=["deep:vec", "firsts:first"])
    plain = asked.to_df()
    assert same([[np.nan] * 5 if v is None else v for v in plain["vec"]], ROUNDED)
    assert same(plain["first"], ROUNDED[:, 0])

    signature = training_frame(store, ASKED, service="model").attrs["deepfeast"]
    online = OnlineFeatures(store, "model", expect=signature)
    found = online.frame([{"id": key} for key in TITLES])
    assert same(found.to_numpy()[:, :5], ROUNDED)
    assert same(found["first"], ROUNDED[:, 0])
    assert verify(store, "deep", now=NOW).equal

    # Feast's own client has what the store has.
    answer = store.get_online_features(["deep:vec"], [{"id": "a"}, {"id": "b"}]).to_dict()
    assert answer["vec"][1] is None
    assert same(unpacked(answer["vec"][0], 5), ROUNDED[:1])

    new = [{"id": "e", "title": "blue hat"}]
    on_the_spot, _ = OnlineFeatures(store, ["deep:vec"]).matrix(new, push=True, now=NOW)
    from_the_store, _ = OnlineFeatures(store, ["deep:vec"]).matrix([{"id": "e"}], now=NOW)
    assert same(on_the_spot, ROUNDED[2:3])
    assert same(from_the_store, ROUNDED[2:3])
    store.teardown()


def test_a_change_of_storage_is_a_change_of_the_vectors(make, tmp_path):
    store = make()
    embed(store, "deep")
    declare(store, "float32")
    with pytest.raises(DeepfeastError, match="--rebuild"):
        embed(store, "deep")
    embed(store, "deep", rebuild=True)
    assert same(trained(store), FULL)

    table = embedding_table(store, store.get_feature_view("deep"))
    rollback(table, 1)
    declare(store, "int8")
    assert same(trained(store), ROUNDED)

    write(tmp_path / "repo", {"e": "green coat", "f": "blue hat"})
    run = embed(store, "deep")
    assert (run.rows, run.encoded, run.reused) == (2, 1, 1)
    reused = training_frame(store, ASKED.head(1).assign(id="f"), features=["deep:vec"])
    assert same(reused.to_numpy()[:, 2:].astype(np.float32), ROUNDED[2:3])
    assert compact(table).after == 2  # one of each version
    assert same(trained(store), ROUNDED)

    (tmp_path / "keys.csv").write_text("id\na\n")
    forget(store, "deep", tmp_path / "keys.csv")
    left = ROUNDED.copy()
    left[0] = np.nan
    assert same(trained(store), left)
