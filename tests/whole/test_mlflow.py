"""The page of the model in MLflow: it logs, loads, predicts, and refuses another encoder."""

import re
import shutil
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
import pytest

from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.versions import rollback
from deepfeast.transforms.errors import SignatureMismatch

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
DOCS = Path(__file__).resolve().parents[2] / "docs"
pytest.importorskip("mlflow", reason="run: pip install --no-deps -r .ci/mlflow.txt")


@pytest.fixture
def shop(tmp_path, Shirts, monkeypatch):
    """A folder with the page's repo, labels and model file; titles have one to nine letters."""
    from feast import FeatureService, FeatureStore

    monkeypatch.chdir(tmp_path)
    # Runs in a folder: MLflow asks for a database by default, which mlflow-skinny lacks.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    shutil.copy(DOCS / "examples" / "mlflow_model.py", tmp_path)
    shop = Shirts(tmp_path / "feature_repo")
    with (shop.folder / "feature_store.yaml").open("a") as file:
        file.write("batch_engine: {type: deepfeast.pipelines.engine.BeamEngine}\n")
    shop.store = FeatureStore(str(shop.folder))
    shop.write([{"id": f"f{n}", "title": "x" * (n % 9 + 1)} for n in range(60)])
    shop.embed()
    service = FeatureService(name="price_model", features=[shop.store.get_feature_view("deep")])
    shop.store.apply([service])
    materialize(shop)
    labels = pd.DataFrame({"id": [f"f{n}" for n in range(60)]})
    labels["event_timestamp"] = pd.Timestamp("2024-02-01", tz="UTC")
    labels["price"] = [10.0 * (n % 9 + 1) for n in range(60)]
    labels.to_parquet("labels.parquet")
    return shop


def materialize(shop):
    shop.store.materialize(datetime(2020, 1, 1, tzinfo=timezone.utc), datetime.now(timezone.utc))


def test_the_page_logs_a_model_that_loads_until_the_encoder_is_another(shop):
    page = (DOCS / "howto" / "mlflow.md").read_text()
    _, train, load = re.findall(r"^```python no-run\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names: dict = {}
    exec(compile(train, "mlflow.md", "exec"), names)
    exec(compile(load, "mlflow.md", "exec"), names)
    assert names["prices"] == pytest.approx([20, 30], abs=1)

    shop.declare(WORDS, reduce="sqrt")  # vectors as long as before, other numbers
    shop.embed(rebuild=True)
    materialize(shop)
    table = embedding_table(shop.store, shop.store.get_feature_view("deep"))
    old, new = names["signature"]["fingerprints"]["deep:vec"], table.fingerprints()["vec"]
    (said,) = re.findall(r"^```text\n(.*?)\n```", page, re.MULTILINE | re.DOTALL)
    said = (
        " ".join(said.split()).replace("5f0c6e3a7b1d", old[:12]).replace("9d41c2f08e6a", new[:12])
    )
    for refused in (
        lambda: names["mlflow"].pyfunc.load_model(names["logged"].model_uri),
        lambda: names["model"].predict(pd.DataFrame({"id": ["f1"]})),
    ):
        with pytest.raises(SignatureMismatch) as told:
            refused()
        assert f"SignatureMismatch: {told.value}" == said

    shop.declare(WORDS)
    rollback(table, 1)
    materialize(shop)
    again = names["mlflow"].pyfunc.load_model(names["logged"].model_uri)
    assert again.predict(pd.DataFrame({"id": ["f1"]})) == names["prices"][:1]
