import json
from datetime import datetime, timedelta, timezone

import pytest

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
ENGINE = {"type": "deepfeast.pipelines.engine.BeamEngine", "metrics": "collector/feast.prom"}


def test_a_materialization_tells_what_went_online_and_counts_it(
    make_store, tmp_path, monkeypatch, caplog
):
    pytest.importorskip("openlineage.client")
    import pyarrow as pa
    import pyarrow.parquet as pq
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Int64

    events = tmp_path / "events.jsonl"
    config = tmp_path / "openlineage.yml"
    config.write_text(f"transport: {{type: file, log_file_path: {events}, append: true}}\n")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(config))
    monkeypatch.delenv("OPENLINEAGE_URL", raising=False)
    # Of this one: Feast's command, where a test has called it, has set a level for each.
    caplog.set_level("INFO", "deepfeast.pipelines.engine")
    path = tmp_path / "shops.parquet"
    pq.write_table(pa.table({"no": ["a", "b"], "at": [START] * 2, "beds": [1, 2]}), path)
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    view = FeatureView(
        name="shops",
        entities=[shop],
        schema=[Field(name="beds", dtype=Int64)],
        source=FileSource(path=str(path), timestamp_field="at", field_mapping={"no": "shop_id"}),
    )
    store = make_store(shop, view, batch_engine=ENGINE)
    caplog.clear()
    store.materialize(START, START + timedelta(days=1))
    store.materialize_incremental(START + timedelta(days=2))
    start, end, _, again = map(json.loads, events.read_text().splitlines())
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert end["job"]["name"] == "materialize.shops"
    assert end["inputs"][0]["name"] == str(path)
    (online,) = end["outputs"]
    assert (online["namespace"], online["name"]) == ("sqlite://shop", "shops")
    assert online["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert again["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 0
    columns = online["facets"]["columnLineage"]["fields"]
    assert columns["shop_id"]["inputFields"][0]["field"] == "no"
    written = (tmp_path / "repo" / "collector" / "feast.prom").read_text()
    assert 'deepfeast_materialize_rows_written{project="shop",view="shops"} 0.0' in written
    ours = [record.getMessage() for record in caplog.records if "beam" not in record.name]
    told = [message for message in ours if message.startswith("shops: ")]
    assert [message.split(", ")[0] for message in told] == [
        "shops: 2 rows written online",
        "shops: 0 rows written online",
    ]
    assert not [record for record in caplog.records if record.name.startswith("apache_beam")]
