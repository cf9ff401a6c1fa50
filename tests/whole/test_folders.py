"""Every command, in a repo below folders whose names some tool would take for something else."""

import json
from datetime import datetime, timezone

import pandas as pd
from click.testing import CliRunner as FeastRunner
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app

runner = CliRunner()
STORE = """
project: shirts
registry: registry.db
provider: local
online_store: {type: sqlite, path: online.db}
offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}
batch_engine: {type: deepfeast.pipelines.engine.BeamEngine}
entity_key_serialization_version: 3
"""
DEFINITIONS = """
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

from deepfeast.transforms import DeepFeature, deep_feature_view

shirt = Entity(name="shirt", join_keys=["id"], value_type=ValueType.STRING)
raw = FileSource(name="raw", path="raw.parquet", timestamp_field="event_timestamp")
sizes = FeatureView(
    name="sizes",
    entities=[shirt],
    schema=[Field(name="size", dtype=Float64)],
    source=FileSource(path="sizes.parquet", timestamp_field="event_timestamp"),
)
deep = deep_feature_view(
    name="deep",
    entities=[shirt],
    source=raw,
    features=[
        DeepFeature(
            "vec",
            column="title",
            encoder="python:deepfeast.transforms.testing:WordLengths?dim=2",
        )
    ],
)
model = FeatureService(name="model", features=[sizes, deep])
"""
SHIRTS = 40


def write_repo(folder):
    folder.mkdir(parents=True)
    (folder / "feature_store.yaml").write_text(STORE)
    (folder / "shirts_in_odd_folders.py").write_text(DEFINITIONS)
    rows = pd.DataFrame({"id": [f"s{n}" for n in range(SHIRTS)]})
    rows["event_timestamp"] = pd.Timestamp("2024-01-01", tz="UTC")
    titles = ["poison", *(f"{'x' * (n % 7 + 1)} shirt" for n in range(1, SHIRTS))]
    rows.assign(title=titles).to_parquet(folder / "raw.parquet")
    sizes = rows.assign(size=[float(n * n % 11) for n in range(SHIRTS)])
    sizes.to_parquet(folder / "sizes.parquet")
    labels = rows.assign(price=[n % 7 + size / 9 for n, size in enumerate(sizes["size"])])
    labels["event_timestamp"] += pd.Timedelta(days=1)
    labels.to_csv(folder / "labels.csv", index=False)


def feast(folder, *words):
    from feast.cli.cli import cli

    done = FeastRunner().invoke(cli, ["-c", str(folder), *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def deepfeast(folder, *words):
    done = runner.invoke(app, [*words, "--repo", str(folder), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_all_commands_in_one_go(tmp_path):
    folder = tmp_path / "o'brien" / "data[1]" / "a b" / "ü"
    write_repo(folder)
    feast(folder, "apply", "--skip-source-validation")
    for rejected in (1, 0):
        (run,) = deepfeast(folder, "embed", "--allowed-rejects", "0.5")
        assert run["rejected"] == rejected
    raw = pd.read_parquet(folder / "raw.parquet")
    raw.loc[0, "title"] = "poison again"
    raw.to_parquet(folder / "raw.parquet")
    assert deepfeast(folder, "embed", "--allowed-rejects", "1")[0]["rejected"] == 1
    assert [reject["id"] for reject in deepfeast(folder, "rejects", "deep")] == ["s0"]
    assert len(deepfeast(folder, "rejects", "deep", "--all")) == 2
    assert [version["rows"] for version in deepfeast(folder, "versions", "deep")] == [SHIRTS + 1]
    assert [run["rows"] for run in deepfeast(folder, "runs", "deep")] == [1, SHIRTS]
    feast(folder, "materialize", "2023-01-01T00:00:00", f"{datetime.now(timezone.utc):%FT%T}")
    assert not [one for one in deepfeast(folder, "doctor") if one["level"] == "error"]
    told = runner.invoke(app, ["compact", "deep", "--repo", str(folder)], catch_exceptions=False)
    assert "2 data files are 1 now" in told.output
    told = runner.invoke(app, ["vacuum", "deep", "--repo", str(folder), "--keep-hours", "0"])
    assert "2 replaced files" in told.output
    assert len(deepfeast(folder, "rejects", "deep", "--all")) == 2
    labels, out = str(folder / "labels.csv"), str(folder / "lift")
    options = ["--repeats", "1", "--most-repeats", "1", "--folds", "2", "--forms", "raw"]
    words = ["lift", labels, "--target", "price", "--service", "model", "--out", out, *options]
    found = deepfeast(folder, *words)
    assert found["rows"] == SHIRTS
    assert (folder / "lift" / "lift.html").is_file()
