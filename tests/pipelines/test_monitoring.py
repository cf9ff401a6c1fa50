"""``feast monitor`` measures in the warehouse, or files, and one place has the figures."""

import contextlib
from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.monitoring.monitoring_service import MonitoringService
from feast.types import Float64, String

from deepfeast.pipelines.monitoring import MonitoredStore
from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.features import GROUPS_TAG

NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)
PRODUCT = Entity(name="product", join_keys=["product_id"], value_type=ValueType.STRING)


def weight_view(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rows = {"product_id": ["pen", "ink"], "event_timestamp": [NOON] * 2, "grams": [7.5, 90.0]}
    pq.write_table(pa.table(rows), folder / "weight.parquet")
    return FeatureView(
        name="weight",
        entities=[PRODUCT],
        schema=[Field(name="product_id", dtype=String), Field(name="grams", dtype=Float64)],
        source=FileSource(name="weights", path="weight.parquet", timestamp_field="event_timestamp"),
    )


def test_both_kinds_of_views_are_counted_and_the_warehouse_keeps_the_counts(
    make_store, postgres, tmp_path
):
    postgres.run(
        "CREATE TABLE stock (product_id text, event_timestamp timestamptz, units int)",
        "INSERT INTO stock SELECT 'p' || n, '2024-05-10 12:00Z', n FROM generate_series(1, 4) n",
    )
    stock = FeatureView(name="stock", entities=[PRODUCT], source=postgres.source("stock"))
    block = {"type": STORE, "warehouse": postgres.block}
    store = make_store(PRODUCT, stock, weight_view(tmp_path / "repo"), offline_store=block)
    service = MonitoringService(store)
    today, tomorrow = NOON.date(), NOON.date() + timedelta(days=1)
    for view, feature, mean in (("stock", "units", 2.5), ("weight", "grams", 48.75)):
        service.compute_metrics("shop", view, start_date=today, end_date=tomorrow)
        (found,) = service.get_feature_metrics("shop", feature_view_name=view)
        assert (found["feature_name"], found["mean"]) == (feature, mean)
    assert postgres.run("SELECT count(*) FROM feast_monitoring_feature_metrics") == [(2,)]


def clustered(shirts):
    """Sellers of one kind of title each, in a baseline; others, as varied, a month later."""
    random = np.random.default_rng(4)
    rows = []
    for seller in range(60):
        start = NOON + timedelta(days=30 * (seller >= 40))
        title = " ".join("x" * n for n in random.integers(1, 12, 2))
        rows += [
            {"id": f"{seller}-{n}", "seller": seller, "title": title, "event_timestamp": start}
            for n in range(6)
        ]
    shirts.write(rows)
    shirts.embed()
    yaml = shirts.folder / "feature_store.yaml"
    yaml.write_text(f"{yaml.read_text()}offline_store: {{type: {STORE}}}\n")


@pytest.mark.parametrize("groups", ["seller", None, "seler"])
def test_what_the_view_declares_to_belong_together_is_one_group(Shirts, tmp_path, groups):
    from feast import FeatureStore

    shirts = Shirts(tmp_path / "shirts")
    clustered(shirts)
    view = shirts.store.get_feature_view("deep")
    # As deep_feature_view(groups=...) writes it; figures and vectors do not depend on it.
    view.tags = {**view.tags, **({GROUPS_TAG: groups} if groups else {})}
    store = FeatureStore(str(shirts.folder))
    store.apply([view])
    config, source = store.config, view.batch_source
    asked = config, source, [("vec", "numeric")], "event_timestamp"
    (base,) = MonitoredStore.compute_monitoring_metrics(*asked, NOON, NOON)
    about = {"project_id": "shirts", "feature_view_name": "deep", "metric_date": NOON.date()}
    MonitoredStore.ensure_monitoring_tables(config)
    base |= {**about, "granularity": "daily", "data_source_type": "batch", "is_baseline": True}
    MonitoredStore.save_monitoring_metrics(config, "feature", [base])
    with contextlib.ExitStack() as stack:
        if groups == "seler":
            told = (
                "vec was not tested.*groups='seler' of view 'deep': nothing called 'seler'.*title"
            )
            stack.enter_context(pytest.warns(UserWarning, match=told))
        (now,) = MonitoredStore.compute_monitoring_metrics(*asked, NOON + timedelta(days=1))
    drift = now["histogram"].get("drift")
    if groups == "seler":
        assert drift is None
    else:
        # By entity everything is new: the rows of a seller are alike.
        assert (drift["groups"], drift["p"] > 0.05) == ((60, True) if groups else (360, False))


def test_vectors_after_the_baseline_are_tested_for_drift(Shirts, tmp_path):
    from feast import FeatureStore

    shirts = Shirts(tmp_path / "shirts")
    first, later = NOON, NOON + timedelta(days=30)
    words = ["red shirt", "blue hat", "old tie", "new socks", "a coat"]
    rows = [
        {"id": f"o{n}", "title": words[n % 5] + "s" * (n % 7), "event_timestamp": first}
        for n in range(80)
    ]
    rows += [
        {"id": f"n{n}", "title": "extraordinarily long " + words[n % 5], "event_timestamp": later}
        for n in range(40)
    ]
    shirts.write(rows)
    shirts.embed()
    yaml = shirts.folder / "feature_store.yaml"
    yaml.write_text(f"{yaml.read_text()}offline_store: {{type: {STORE}}}\n")
    service = MonitoringService(FeatureStore(str(shirts.folder)))
    for moment, baseline in ((first, True), (later, False)):
        day = moment.date()
        service.compute_metrics(
            "shirts", "deep", start_date=day, end_date=day, set_baseline=baseline
        )
    now = service.get_feature_metrics("shirts", start_date=later.date(), end_date=later.date())
    drift = now[0]["histogram"]["drift"]
    assert (drift["rows"], drift["p"] < 0.01) == (40, True)
    (base,) = service.get_baseline("shirts")
    assert "drift" not in base["histogram"]
    assert base["histogram"]["last"] == first.isoformat()
