"""An embedding table in a bucket is what it would be on a disk, for all who write and read it."""

from datetime import timedelta

import pandas as pd
import pytest

from deepfeast.transforms.embeddings.compact import compact
from deepfeast.transforms.embeddings.rejects import standing_rejects
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.vacuum import vacuum
from deepfeast.transforms.embeddings.versions import list_versions, rollback
from deepfeast.transforms.files.bucket import at

TWO = "python:deepfeast.transforms.testing:WordLengths?dim=2"
THREE = TWO.replace("2", "3")
OURS = (
    "offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}\n"
    "batch_engine: {type: deepfeast.pipelines.engine.BeamEngine}\n"
)


@pytest.fixture
def shop(Shirts, tmp_path, bucket):
    """A repo whose embedding table lies in a bucket."""
    return on_bucket(Shirts, tmp_path / "shop", f"{bucket}/tables/deep")


def on_bucket(shirts, folder, uri=None):
    from feast import FeatureStore

    shop = shirts(folder, uri=uri)
    config = folder / "feature_store.yaml"
    config.write_text(config.read_text() + OURS)
    shop.store = FeatureStore(str(folder))
    return shop


def night(shop, length, *more):
    """Write the raw table of a night, and embed it."""
    titles = [f"{'x' * (n % length + 1)} y" for n in range(40)]
    rows = [{"id": str(n), "title": title} for n, title in enumerate(titles)]
    shop.write([*rows, {"id": "p", "title": "poison"}, *more])
    return shop.embed()


def told(shop):
    """Return all of the table but for the commits' times."""
    rows = shop.rows()
    rows.sort(key=lambda row: (row["created_timestamp"], row["id"]))
    return [{**row, "created_timestamp": None} for row in rows]


def table_of(shop):
    return embedding_table(shop.store, shop.store.get_feature_view("deep"))


def test_the_table_is_that_of_a_disk_night_after_night(shop, Shirts, tmp_path):
    local = on_bucket(Shirts, tmp_path / "local")
    for change in (4, 4, 6):
        runs = [night(one, change) for one in (shop, local)]
        assert len({(run.version, run.rows, run.encoded, run.rejected) for run in runs}) == 1
        assert told(shop) == told(local)
    left = {path.name for path in at(shop.uri).glob("_deepfeast/*")}
    # It knows the files of the source where they were written long enough before the run.
    assert left - {"seen"} == {"lock", "published"}
    assert [row["id"] for row in standing_rejects(table_of(shop)).to_pylist()] == ["p"]


def test_versions_compaction_and_vacuum_keep_its_rows(shop):
    night(shop, 4)
    night(shop, 5)
    before = told(shop)
    table = table_of(shop)
    (at(shop.uri) / "leftover-of-a-run" / "part.parquet").write_text("killed")
    done = compact(table, timedelta(0))
    assert (done.before, done.after) == (2, 1)
    assert told(shop) == before
    assert [place.name for place in vacuum(table).leftovers] == ["leftover-of-a-run"]
    shop.declare(THREE)
    shop.embed(rebuild=True)
    assert len(shop.vectors()["1"]) == 3
    rollback(table, 1)
    assert told(shop) == before
    assert [version.current for version in list_versions(table)] == [True, False]
    vacuum(table, drop=2)
    assert told(shop) == before


def test_training_serving_and_forgetting_work_on_it(shop, tmp_path):
    from deepfeast.pipelines.forget.job import forget
    from deepfeast.transforms import training_frame

    shop.declare(TWO, reduce="pca:2")
    night(shop, 4)
    vectors = shop.vectors()
    labels = pd.DataFrame(
        {"id": ["1", "2"], "event_timestamp": pd.to_datetime(["2024-05-01"] * 2, utc=True)}
    )
    frame = training_frame(shop.store, labels, features=["deep:vec"])
    assert frame.filter(like="vec").to_numpy().tolist() == [vectors["1"], vectors["2"]]
    (tmp_path / "keys.csv").write_text("id\n1\n")
    certificate = forget(shop.store, "deep", tmp_path / "keys.csv")
    assert certificate.rows == {"1": 1}
    assert certificate.path.startswith(f"{shop.uri}/_deepfeast/certificates/")
    assert "1" not in shop.vectors()
    day = pd.Timestamp("2023-01-01", tz="UTC").to_pydatetime()
    shop.store.materialize(day, day + timedelta(days=700), ["deep"])
    online = shop.store.get_online_features(["deep:vec"], [{"id": "2"}, {"id": "1"}]).to_dict()
    assert online["vec"] == [vectors["2"], None]
