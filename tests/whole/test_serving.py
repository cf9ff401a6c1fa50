"""The slim installation: what constraints-serve.txt lists answers lookups, and encodes.

`.ci/run` installs it from the index beside the wheel that it builds; that takes too long for
everybody's `make test`.
"""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from deepfeast.transforms import DeepFeature, OnlineFeatures, deep_feature_view, save_signature

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "constraints-serve.txt"
LARGE = ("apache_beam", "torch", "transformers", "nvidia", "scipy", "deltalake", "onnx", "duckdb")
ASK = """
    import importlib.util
    import sys

    from deepfeast.transforms import OnlineFeatures

    large = [name for name in {large} if importlib.util.find_spec(name)]
    assert not large, f"not slim: {{large}}"
    online = OnlineFeatures(sys.argv[1], "model", expect=sys.argv[1] + "/model.json")
    rows = {rows}
    frame, statuses = online.frame(rows, statuses=True, push=True)
    frame.to_pickle(sys.argv[2] + "/frame.pickle")
    statuses.to_pickle(sys.argv[2] + "/statuses.pickle")
    again, statuses = online.frame([{{"shop_id": "new"}}], statuses=True)
    assert statuses.iloc[0].tolist() == ["missing", "present", "present"], statuses
    X, columns = online.matrix([{{"shop_id": "a"}}])
    assert X.shape == (1, len(frame.columns))
"""


def pins(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_its_versions_are_those_that_everything_is_tested_with():
    everything = {name.lower(): version for name, version in pins(ROOT / "constraints.txt").items()}
    slim = {name.lower(): version for name, version in pins(PINS).items()}
    assert slim.items() <= everything.items()
    assert not slim.keys() & {name.replace("_", "-") for name in LARGE}


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Python of an environment with the slim installation alone; .ci/run may name its version."""
    wheel = os.environ.get("DEEPFEAST_WHEEL")
    if not wheel:
        pytest.skip("DEEPFEAST_WHEEL names no wheel of deepfeast; .ci/run builds one")
    folder = tmp_path_factory.mktemp("serving")
    version = os.environ.get("DEEPFEAST_SERVE_PYTHON") or sys.executable
    subprocess.run([version, "-m", "venv", folder], check=True)
    install = [str(ROOT / ".ci" / "install"), str(folder / "bin" / "python")]
    recipe = ["--no-deps", "-r", str(PINS), wheel]
    done = subprocess.run([*install, *recipe], capture_output=True, text=True, cwd=folder)
    if "Connection" in done.stderr and done.returncode:
        pytest.skip(f"the package index cannot be reached: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return folder / "bin" / "python"


@pytest.mark.slow
def test_it_answers_and_encodes_what_the_whole_installation_does(
    python, make_store, online_store, tmp_path
):
    from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
    from feast.types import Int64

    now = pd.Timestamp.now("UTC")
    photos = [tmp_path / "teal.png", tmp_path / "gold.png"]
    for path in photos:
        Image.new("RGB", (90, 60), path.stem).save(path)
    rows = {
        "shop_id": ["a", "b"],
        "at": pa.array([now, now], pa.timestamp("us", "UTC")),
        "size": [10, 20],
        "description": ["a red shirt", None],
        "photo": [str(photos[0]), None],
    }
    pq.write_table(pa.table(rows), tmp_path / "shops.parquet")
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="file", path=str(tmp_path / "shops.parquet"), timestamp_field="at")
    size = [Field(name="size", dtype=Int64)]
    plain = FeatureView(name="plain", entities=[shop], schema=size, source=source)
    features = [
        DeepFeature("text", column="description", encoder="text-tiny"),
        DeepFeature("picture", column="photo", encoder="image-tiny"),
    ]
    ttl = timedelta(days=1)
    deep = deep_feature_view(
        name="deep", entities=[shop], source=source, features=features, ttl=ttl
    )
    model = FeatureService(name="model", features=[plain, deep])
    store = make_store(
        *(shop, source, plain, deep, model),
        offline_store={"type": "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"},
        batch_engine={"type": "deepfeast.pipelines.engine.BeamEngine"},
        online_store=online_store,
    )
    store.materialize((now - ttl).to_pydatetime(), (now + ttl).to_pydatetime())
    online = OnlineFeatures(store, "model")
    # All that a service has of the repo: its configuration, its registry, and what it expects;
    # not the embedding table.
    repo = tmp_path / "served"
    repo.mkdir()
    shutil.copy(store.config.registry.path, repo / "registry.db")
    settings = {
        "project": store.project,
        "provider": "local",
        "registry": "registry.db",
        "online_store": online_store,
        "entity_key_serialization_version": 3,
        "offline_store": {"type": "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"},
        "batch_engine": {"type": "deepfeast.pipelines.engine.BeamEngine"},
    }
    (repo / "feature_store.yaml").write_text(json.dumps(settings))  # JSON is YAML
    save_signature(online.signature, repo / "model.json")

    unseen = {
        "shop_id": "new",
        "description": "A quiet flat, près du port",
        "photo": str(photos[1]),
    }
    asked = [{"shop_id": "a"}, {"shop_id": "b"}, unseen, {"shop_id": "nobody"}]
    expected, expected_statuses = online.frame(asked, statuses=True)
    code = textwrap.dedent(ASK).format(large=LARGE, rows=asked)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, "-c", code, repo, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=repo, env=clean)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(pd.read_pickle(tmp_path / "statuses.pickle"), expected_statuses)
    assert expected_statuses.loc[2].tolist() == ["missing", "encoded", "encoded"]
    served = pd.read_pickle(tmp_path / "frame.pickle")
    assert served.iloc[0].notna().all()
    assert list(served.columns) == list(expected.columns)
    np.testing.assert_allclose(
        served.to_numpy(np.float32, na_value=np.nan),
        expected.to_numpy(np.float32, na_value=np.nan),
        rtol=1e-6,
        atol=1e-6,
    )
