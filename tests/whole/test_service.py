"""The FastAPI example: it predicts, encodes, and refuses what it was not trained on."""

import concurrent.futures
import json
import os
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms import DeepFeature, OnlineFeatures, deep_feature_view, save_signature

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A repo of shops, materialized, with a model and its signature."""
    from feast import Entity, FeatureService, FeatureStore, FileSource, ValueType
    from xgboost import XGBRegressor

    folder = tmp_path_factory.mktemp("service")
    (folder / "feature_store.yaml").write_text(
        "project: shops\nregistry: registry.db\nprovider: local\n"
        "online_store: {type: sqlite, path: online.db}\n"
        "offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}\n"
        "batch_engine: {type: deepfeast.pipelines.engine.BeamEngine}\n"
        "entity_key_serialization_version: 3\n"
    )
    now = datetime.now(timezone.utc)
    rows = {
        "shop_id": [f"s{number}" for number in range(200)],
        "at": pa.array([now] * 200, pa.timestamp("us", "UTC")),
        "description": [
            f"{'red' if number % 2 else 'blue'} shirt {number}" for number in range(200)
        ],
    }
    pq.write_table(pa.table(rows), folder / "shops.parquet")
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="file", path="shops.parquet", timestamp_field="at")
    text = DeepFeature("text", column="description", encoder="text-tiny")
    deep = deep_feature_view(
        name="deep", entities=[shop], source=source, features=[text], ttl=30 * DAY
    )
    store = FeatureStore(str(folder))
    store.apply([shop, source, deep, FeatureService(name="model", features=[deep])])
    store.materialize(now - DAY, now + DAY)
    online = OnlineFeatures(folder, "model")
    X, _ = online.matrix([{"shop_id": name} for name in rows["shop_id"]])
    prices = np.array([100.0 if number % 2 else 50.0 for number in range(200)])
    XGBRegressor(n_estimators=30, max_depth=2).fit(X, prices).save_model(folder / "model.ubj")
    save_signature(online.signature, folder / "model.json")
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(repo, port, signature="model.json"):
    settings = {"REPO": repo, "SERVICE": "model", "MODEL": repo / "model.ubj"}
    settings |= {"SIGNATURE": repo / signature}
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "service:app"]
    return subprocess.Popen(
        [*command, "--port", str(port), "--log-level", "warning"],
        env={**os.environ, **{name: str(value) for name, value in settings.items()}},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def client(repo):
    server = start(repo, port := free_port())
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while server.poll() is None:
                try:
                    client.get("/docs")
                    break
                except httpx.ConnectError:
                    time.sleep(0.1)
            assert server.poll() is None, server.stderr.read()
            yield client
    finally:
        server.terminate()
        server.communicate()


def test_known_and_unseen_rows_are_predicted(client):
    unseen = {"shop_id": "new", "description": "a red shirt"}
    found = client.post("/predict", json=[{"shop_id": "s1"}, {"shop_id": "s2"}, unseen]).json()
    assert found == pytest.approx([100, 50, 100], abs=5)


def test_a_wrong_row_is_the_callers_fault(client):
    answer = client.post("/predict", json=[{"shop": "s1"}])
    assert answer.status_code == 422
    assert "shop_id" in answer.json()["detail"]


def test_many_at_once_get_their_own_answers(client):
    def ask(number):
        return client.post("/predict", json=[{"shop_id": f"s{number}"}]).json()[0]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(100)))
    assert found == pytest.approx([100 if n % 2 else 50 for n in range(100)], abs=5)


def test_a_model_of_other_vectors_does_not_start(repo):
    told = json.loads((repo / "model.json").read_text())
    told["fingerprints"]["deep:text"] = "0" * 64
    (repo / "other.json").write_text(json.dumps(told))
    server = start(repo, free_port(), "other.json")
    _, said = server.communicate(timeout=120)
    assert server.returncode
    assert "SignatureMismatch" in said
