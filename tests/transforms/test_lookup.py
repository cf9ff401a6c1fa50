"""A lookup answers with the training frame's columns, whatever the store lacks."""

import socket
import threading
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from deepfeast.transforms import DeepFeature, OnlineFeatures, deep_feature_view, training_frame
from deepfeast.transforms.errors import FeatureNotFound, JoinError, SignatureMismatch
from deepfeast.transforms.signatures import save_signature

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
UNTRAINED = "python:deepfeast.transforms.testing:untrained_photos"
WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """Shops with a size, a name and a deep description, materialized."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from feast import (
        Entity,
        FeatureService,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        ValueType,
    )
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Float64, Int64, String

    folder = tmp_path_factory.mktemp("repo")
    (folder / "feature_store.yaml").write_text(
        "project: shops\nregistry: registry.db\nprovider: local\n"
        "online_store: {type: sqlite, path: online.db}\n"
        "offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}\n"
        "batch_engine: {type: deepfeast.pipelines.engine.BeamEngine}\n"
        "entity_key_serialization_version: 3\n"
    )
    rows = {
        "shop_id": ["a", "b"],
        "at": pa.array([START, START], pa.timestamp("us", "UTC")),
        "size": pa.array([10, 20], pa.int64()),
        "name": ["Ann", None],
        "rate": [0.5, None],
        "description": ["red shirt", None],
    }
    pq.write_table(pa.table(rows), folder / "shops.parquet")
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="shops", path="shops.parquet", timestamp_field="at")
    fields = [
        Field(name="size", dtype=Int64),
        Field(name="name", dtype=String),
        Field(name="rate", dtype=Float64),
    ]
    plain = FeatureView(name="plain", entities=[shop], schema=fields, source=source, ttl=30 * DAY)
    deep = deep_feature_view(
        name="deep",
        entities=[shop],
        source=source,
        ttl=60 * DAY,
        features=[DeepFeature("vec", column="description", encoder=WORDS)],
    )

    @on_demand_feature_view(
        sources=[plain], schema=[Field(name="double", dtype=Int64)], mode="python"
    )
    def doubled(inputs):
        return {"double": [size * 2 for size in inputs["size"]]}

    @on_demand_feature_view(sources=[plain, deep], schema=[Field(name="wide", dtype=Float64)])
    def widths(inputs):
        words = inputs["vec"].map(lambda v: float("nan") if v is None else v[0])
        return pd.DataFrame({"wide": inputs["size"].astype(float) + words.fillna(0.5)})

    services = [
        FeatureService(
            name="model",
            features=[plain.with_name("less")[["size"]], deep, plain.with_name("more")[["rate"]]],
        ),
        FeatureService(name="words", features=[plain[["name"]]]),
        FeatureService(name="lived", features=[doubled, deep]),
        FeatureService(name="wide", features=[widths]),
        FeatureService(
            name="renamed", features=[plain[["size"]].with_join_key_map({"shop_id": "rival_id"})]
        ),
    ]
    store = FeatureStore(str(folder))
    store.apply([shop, source, plain, deep, doubled, widths, *services])
    store.materialize(START, START + DAY)
    return folder


@pytest.fixture(scope="module")
def online(repo):
    return OnlineFeatures(repo, "model")


def test_columns_order_and_types_are_the_training_frames(repo, online):
    labels = pd.DataFrame({"shop_id": ["a", "b"], "event_timestamp": START + DAY})
    trained = training_frame(repo, labels, service="model").drop(columns=list(labels))
    served = online.frame(labels[["shop_id"]], now=START + DAY)
    pd.testing.assert_frame_equal(served, trained, check_flags=False)
    assert list(served.columns) == ["size", "vec_000", "vec_001", "rate"]


def test_missing_entities_are_nan_and_keep_their_place(online):
    rows = [{"shop_id": "nobody"}, {"shop_id": "a"}, {"shop_id": None}, {"shop_id": "a"}]
    frame, statuses = online.frame(rows, now=START + DAY, statuses=True)
    assert frame["size"].tolist() == [pd.NA, 10, pd.NA, 10]
    assert frame["vec_001"].tolist()[1::2] == [5.0, 5.0]
    assert statuses["vec"].tolist() == ["missing", "present", "missing", "present"]
    X, columns = online.matrix(rows, now=START + DAY)
    assert columns == list(frame.columns)
    np.testing.assert_array_equal(X, frame.to_numpy(np.float32, na_value=np.nan))


def test_each_view_has_its_own_ttl(online):
    frame, statuses = online.frame([{"shop_id": "a"}], now=START + 40 * DAY, statuses=True)
    assert statuses.iloc[0].to_dict() == {"size": "expired", "vec": "present", "rate": "expired"}
    assert frame["vec_000"].tolist() == [3.0]


def test_an_unseen_text_is_encoded_as_the_embed_job_would(online):
    rows = [
        {"shop_id": "new", "description": "blue tie", "size": 7, "rate": 0.25},
        {"shop_id": "a", "description": "ignored words", "size": 99},
        {"shop_id": "bad", "description": "poison"},
        {"shop_id": "blank", "description": " "},
    ]
    frame, statuses = online.frame(rows, now=START + DAY, statuses=True)
    assert frame["vec_000"].tolist()[:2] == [4.0, 3.0]
    assert frame["vec_000"].isna().tolist() == [False, False, True, True]
    assert frame["size"].tolist()[:2] == [7, 10]
    assert statuses["vec"].tolist() == ["encoded", "present", "rejected", "null"]
    assert statuses["size"].tolist() == ["given", "present", "missing", "missing"]
    X, _ = online.matrix(rows, now=START + DAY)
    assert X[0].tolist() == [7.0, 4.0, 3.0, 0.25]


def test_raw_values_of_mixed_kinds_are_read_cell_by_cell(online):
    mixed = ["blue tie", float("nan"), None, pd.NA, 5, "wool \ud800", b"red hat", ["a"]]
    rows = [{"shop_id": f"mixed-{at}", "description": cell} for at, cell in enumerate(mixed)]
    frame, statuses = online.frame(rows, now=START + DAY, statuses=True)
    told = ["encoded", *["missing"] * 3, "rejected", "encoded", "encoded", "rejected"]
    assert statuses["vec"].tolist()[:7] == told[:7]
    assert frame["vec_000"].tolist()[::6] == [4.0, 3.0]
    assert frame["vec_000"].isna().tolist()[1:5] == [True] * 4
    alone = pd.concat([online.frame([row], now=START + DAY) for row in rows], ignore_index=True)
    pd.testing.assert_frame_equal(frame, alone, check_dtype=False)


def test_a_bad_row_is_not_feasts_to_compute(online):
    lived = OnlineFeatures(online.store, "lived")
    rows = [{"shop_id": "a"}, None, {"shop_id": 1.5}]
    frame, statuses = lived.frame(rows, now=START + DAY, statuses=True, bad_rows="reject")
    assert frame["double"].tolist() == [20, pd.NA, pd.NA]
    assert statuses["double"].tolist() == ["present", "rejected", "rejected"]


def test_rows_may_be_a_frame_of_polars(online):
    polars = pytest.importorskip("polars")
    frame = online.frame(polars.DataFrame({"shop_id": ["b", None]}), now=START + DAY)
    assert frame["size"].tolist() == [20, pd.NA]


def test_what_was_encoded_can_be_pushed(online):
    now = START + 2 * DAY
    online.frame([{"shop_id": "pushed", "description": "wool hat"}], push=True, now=now)
    frame, statuses = online.frame([{"shop_id": "pushed"}], statuses=True, now=now)
    assert frame[["vec_000", "vec_001"]].to_numpy().tolist() == [[4.0, 3.0]]
    assert statuses["vec"].tolist() == ["present"]


def test_a_model_is_told_when_serving_differs(repo, online, tmp_path):
    labels = pd.DataFrame({"shop_id": ["a"], "event_timestamp": START + DAY})
    signature = training_frame(repo, labels, service="model").attrs["deepfeast"]
    save_signature(signature, tmp_path / "model.json")
    OnlineFeatures(online.store, "model", expect=tmp_path / "model.json")
    with pytest.raises(SignatureMismatch, match="missing now: vec_000"):
        OnlineFeatures(online.store, ["plain:size"], expect=signature)
    signature["fingerprints"] = {"deep:vec": "0" * 64}
    with pytest.raises(SignatureMismatch, match="deep:vec was computed by encoder 000000000000"):
        OnlineFeatures(online.store, "model", expect=signature)


def test_texts_have_a_place_in_a_frame_and_none_in_a_matrix(online):
    words = OnlineFeatures(online.store, "words")
    assert words.frame([{"shop_id": "a"}, {"shop_id": "b"}], now=START)["name"].tolist() == [
        "Ann",
        None,
    ]
    with pytest.raises(JoinError, match="a matrix holds numbers"):
        words.matrix([{"shop_id": "a"}])


def test_on_demand_features_are_feasts_to_compute(online):
    lived = OnlineFeatures(online.store, "lived")
    frame = lived.frame([{"shop_id": "a"}], now=START + DAY)
    assert frame.iloc[0].to_dict() == {"double": 20, "vec_000": 3.0, "vec_001": 5.0}


@pytest.mark.parametrize(("days", "expected"), [(1, [13, 20.5]), (45, [np.nan, np.nan])])
def test_on_demand_features_are_computed_from_what_the_frame_has(repo, online, days, expected):
    now = START + days * DAY
    labels = pd.DataFrame({"shop_id": ["a", "b"], "event_timestamp": now})
    trained = training_frame(repo, labels, service="wide")
    served = OnlineFeatures(online.store, "wide").frame(labels[["shop_id"]], now=now)
    assert served["wide"].tolist() == pytest.approx(expected, nan_ok=True)
    np.testing.assert_array_equal(served["wide"], trained["wide"])


def test_a_renamed_join_key_is_asked_for_by_its_new_name(online):
    renamed = OnlineFeatures(online.store, "renamed")
    assert renamed.frame([{"rival_id": "b"}], now=START + DAY)["size"].tolist() == [20]
    with pytest.raises(JoinError, match="no column 'rival_id'"):
        renamed.frame([{"shop_id": "b"}])


def test_the_index_of_a_frame_is_kept(online):
    rows = pd.DataFrame({"shop_id": ["b", "a"]}, index=[7, 3])
    frame = online.frame(rows, now=START + DAY)
    assert frame["size"].to_dict() == {7: 20, 3: 10}
    assert len(online.frame([])) == 0


def test_errors_say_what_to_do(repo, online):
    with pytest.raises(FeatureNotFound, match="Did you mean 'model'"):
        OnlineFeatures(online.store, "modl")
    with pytest.raises(JoinError, match="expected a list of rows"):
        online.frame({"shop_id": "a"})


def test_feast_serve_keeps_working(online):
    import httpx
    import uvicorn
    from feast.feature_server import get_app

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(get_app(online.store), host="127.0.0.1", port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
        assert thread.is_alive()
    body = {"features": ["plain:size", "deep:vec"], "entities": {"shop_id": ["a"]}}
    answer = httpx.post(
        f"http://127.0.0.1:{port}/get-online-features", json=body, timeout=20
    ).json()
    server.should_exit = True
    thread.join(10)
    values = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
    assert values["size"]["values"] == [10]
    assert values["vec"]["values"] == [[3.0, 5.0]]


def test_an_unseen_text_equals_what_the_batch_made_of_it(shirts):
    from deepfeast.transforms.encoders.text.minilm import minilm_folder
    from deepfeast.transforms.errors import EncoderNotFound

    try:
        minilm_folder()
    except EncoderNotFound as error:
        pytest.skip(str(error))
    texts = ["red shirt", "a much longer text about a wool hat " * 8, "blue tie, silk"]
    shirts.declare("minilm")
    shirts.write([{"id": str(number), "title": text} for number, text in enumerate(texts)])
    shirts.embed()
    batch = np.array([shirts.vectors()[str(number)] for number in range(3)], np.float32)
    online = OnlineFeatures(shirts.folder, ["deep:vec"])
    rows = [{"id": f"new-{number}", "title": text} for number, text in enumerate(texts)]
    alone = np.concatenate([online.matrix([row])[0] for row in rows])
    for served in (alone, online.matrix(rows)[0]):
        norms = np.linalg.norm(served, axis=1) * np.linalg.norm(batch, axis=1)
        assert ((served * batch).sum(axis=1) / norms).min() >= 0.9999


def test_a_photo_of_an_unseen_entity_is_read_from_the_folder_of_the_source(Shirts, tmp_path):
    from PIL import Image

    shirts = Shirts(tmp_path / "photos", features={"vec": "photo"})
    shirts.declare(UNTRAINED)
    Image.new("RGB", (48, 32), "teal").save(shirts.folder / "teal.jpg")
    shirts.write([{"id": "a", "photo": "teal.jpg"}])
    shirts.embed()
    online = OnlineFeatures(shirts.folder, ["deep:vec"])
    found, statuses = online.frame(
        [{"id": "new", "photo": "teal.jpg"}, {"id": "gone", "photo": "nowhere.jpg"}], statuses=True
    )
    assert statuses["vec"].tolist() == ["encoded", "rejected"]
    np.testing.assert_allclose(found.iloc[0], shirts.vectors()["a"], rtol=1e-3, atol=1e-4)
