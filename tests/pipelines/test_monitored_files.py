"""``feast monitor`` on our store: Feast's own command, and the pages that its UI asks for."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.transforms import DeepFeature, deep_feature_view
from deepfeast.transforms.testing import TextSums

DAY = timedelta(days=1)
LAST = datetime(2024, 5, 10, 12, 30, tzinfo=timezone.utc)
ENCODER = "python:deepfeast.transforms.testing:TextSums?dim=3"
# Of each item its day before the last, its size, its colour and its title.
ITEMS = {
    "a": (0, 1, "red", "red shirt"),
    "b": (0, 3, "red", "blue hat"),
    "c": (3, None, None, None),
    "d": (60, 5, "blue", "green coat"),
    "e": (200, 7, "blue", "red shirt"),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A repo whose items have a plain and a deep view; the deep one is kept as int8."""
    from feast import (
        Entity,
        FeatureService,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        ValueType,
    )
    from feast.types import Array, Int64, String

    from deepfeast.pipelines.embed import embed

    folder = tmp_path_factory.mktemp("repo")
    (folder / "feature_store.yaml").write_text(
        "project: shop\nregistry: registry.db\nprovider: local\n"
        "online_store: {type: sqlite, path: online.db}\n"
        "offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}\n"
        "entity_key_serialization_version: 3\n"
        "data_quality_monitoring: {auto_baseline: false}\n"
    )
    days, sizes, colours, titles = zip(*ITEMS.values(), strict=True)
    rows = {
        "id": [*ITEMS],
        "at": pa.array([LAST - day * DAY for day in days], pa.timestamp("us", "UTC")),
        "size": pa.array(sizes, pa.int64()),
        "colour": colours,
        "words": [["a"], None, [], ["a", "b"], ["c"]],
        "title": titles,
    }
    pq.write_table(pa.table(rows), folder / "raw.parquet")
    item = Entity(name="item", join_keys=["id"], value_type=ValueType.STRING)
    raw = FileSource(name="raw", path="raw.parquet", timestamp_field="at")
    fields: dict[str, Any] = {"size": Int64, "colour": String, "words": Array(String)}
    plain = FeatureView(
        name="plain",
        entities=[item],
        source=raw,
        schema=[Field(name=name, dtype=dtype) for name, dtype in fields.items()],
    )
    vec = DeepFeature("vec", column="title", encoder=ENCODER, storage="int8")
    deep = deep_feature_view(name="deep", entities=[item], source=raw, features=[vec])
    later = deep_feature_view(
        name="later", entities=[item], source=raw, features=[DeepFeature("v", "title", ENCODER)]
    )
    made = FeatureStore(str(folder))
    service = FeatureService(name="model", features=[plain, deep])
    made.apply([item, raw, plain, deep, later, service])
    embed(made, "deep")
    return made


@pytest.fixture(scope="module")
def page(store):
    """What Feast shows of its figures, after ``feast monitor run``."""
    from click.testing import CliRunner
    from feast.cli.cli import cli
    from feast.monitoring.monitoring_service import MonitoringService

    ran = CliRunner().invoke(cli, ["-c", str(store.repo_path), "monitor", "run"])
    assert ran.exit_code == 0, ran.output
    assert "Feature views computed: 2" in ran.output  # `later` has no table yet
    service = MonitoringService(store)
    asked: dict[str, Any] = {
        "features": service.get_feature_metrics,
        "feature_views": service.get_feature_view_metrics,
        "feature_services": service.get_feature_service_metrics,
        "baseline": service.get_baseline,
    }
    return lambda what, **filters: asked[what]("shop", **filters)


def test_the_server_of_feast_ui_gives_them_to_its_pages(store, page):
    pytest.importorskip("grpc_health", reason="feast ui needs feast[grpcio]")
    from fastapi.testclient import TestClient
    from feast.ui_server import get_app

    client = TestClient(get_app(store, "shop"))
    assert client.get("/p/shop/monitoring/").status_code == 200
    for what in ("features", "feature_views", "feature_services", "baseline"):
        answer = client.get(f"/api/v1/monitoring/metrics/{what}", params={"project": "shop"})
        assert answer.json() == json.loads(json.dumps(page(what)))


def test_scalars_are_measured_as_other_stores_do(page):
    (size,) = page("features", feature_name="size", granularity="weekly")
    told = ("row_count", "null_count", "mean", "min_val", "max_val", "p50", "is_baseline")
    assert [size[name] for name in told] == [3, 1, 2, 1, 3, 2, False]
    assert size["metric_date"] == "2024-05-03"
    assert size["max_event_timestamp"].startswith("2024-05-10T12:30:00")
    assert sum(size["histogram"]["counts"]) == 2

    (colour,) = page("features", feature_name="colour", granularity="quarterly")
    assert colour["histogram"]["values"] == [
        {"value": "red", "count": 2},
        {"value": "blue", "count": 1},
    ]
    (words,) = page("features", feature_name="words", granularity="quarterly")
    assert (words["row_count"], words["null_count"], words["histogram"]) == (4, 1, None)


def test_vectors_have_norms_and_a_distance_from_the_baseline(page):
    titles = [title for *_, title in ITEMS.values() if title]
    vectors = TextSums(3).encode(titles)
    norms = np.linalg.norm(vectors, axis=1)
    (base,) = page("baseline", feature_name="vec")
    assert (base["row_count"], base["null_count"], base["is_baseline"]) == (5, 1, True)
    assert base["min_val"] == pytest.approx(norms.min(), abs=0.01)
    assert base["mean"] == pytest.approx(norms.mean(), abs=0.01)
    assert sum(base["histogram"]["counts"]) == 4
    assert np.allclose(base["histogram"]["centroid"], vectors.mean(axis=0), atol=0.01)
    assert base["histogram"]["centroid_distance"] == 0

    (day,) = page("features", feature_name="vec", granularity="daily")
    assert (day["row_count"], day["null_count"]) == (2, 0)
    moved = np.linalg.norm(vectors[:2].mean(axis=0) - vectors.mean(axis=0))
    spread = np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())
    told = day["histogram"]
    assert told["centroid_distance"] == pytest.approx(moved, abs=0.01)
    assert told["centroid_shift"] == pytest.approx(moved / spread, abs=0.02)
    assert "centroid" not in told
    assert len(told["encoder"]) == 12


def test_views_and_services_have_their_sums(page):
    (deep,) = page("feature_views", feature_view_name="deep", granularity="biweekly")
    assert (deep["total_row_count"], deep["features_with_nulls"]) == (3, 1)
    service = page("feature_services", feature_service_name="model", granularity="biweekly")
    assert service[0]["total_feature_views"] == 2


def test_a_new_baseline_takes_the_place_of_the_old(page, store):
    from feast.monitoring.monitoring_service import MonitoringService

    service = MonitoringService(store)
    (before,) = page("baseline", feature_name="size")
    service.compute_metrics(
        "shop", "plain", start_date=LAST.date(), end_date=LAST.date(), set_baseline=True
    )
    (after,) = page("baseline", feature_name="size")
    assert (before["row_count"], after["row_count"]) == (5, 2)


def test_a_job_goes_through_its_states(store, page):
    from feast.monitoring.monitoring_service import MonitoringService

    service = MonitoringService(store)
    job = service.submit_job("shop", "compute", "plain", {"start_date": "2024-05-10"})
    assert service.get_job(job)["status"] == "pending"
    service.execute_job(job)
    done = service.get_job(job, project="shop")
    assert done["status"] == "completed"
    assert done["started_at"] <= done["completed_at"]
    assert service.get_job(job, project="other") is None
