"""Rows of an embedding table as an export reads them: by run, in batches, under other names."""

import numpy as np

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"


def test_many_rows_pass_in_batches(closet, monkeypatch):
    from deepfeast.pipelines.export import rows

    monkeypatch.setattr(rows, "BATCH_BYTES", 24)
    closet.wear(*(f"{'x' * n} y" for n in range(1, 11)))
    told: list[tuple[str, int, int]] = []
    closet.export(progress=lambda *report: told.append(report))
    assert told == [("Export", done, 10) for done in (3, 6, 9, 10)]
    vectors = np.array([vector for _, vector in closet.there()])
    assert sorted(vectors[:, 0]) == [*range(1, 11)]


def test_keys_of_several_types_and_names_with_quotes_and_capitals(make_store, postgres, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq
    from feast import Entity, FileSource, ValueType

    from deepfeast.pipelines.embed import embed
    from deepfeast.pipelines.export import export
    from deepfeast.transforms import DeepFeature, deep_feature_view

    rows = {"Shop": [7, 7], 'it"em': ["a", "b"], "At": pa.array([0, 1], pa.timestamp("us", "UTC"))}
    (tmp_path / "repo").mkdir()
    pq.write_table(pa.table({**rows, "title": ["red", "b c"]}), tmp_path / "repo" / "raw.parquet")
    shop = Entity(name="shop", join_keys=["Shop"], value_type=ValueType.INT64)
    item = Entity(name="item", join_keys=['it"em'], value_type=ValueType.STRING)
    raw = FileSource(name="raw", path="raw.parquet", timestamp_field="At")
    features = [DeepFeature("Vec", column="title", encoder=WORDS)]
    deep = deep_feature_view(name="deep", entities=[shop, item], source=raw, features=features)
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
        PostgreSQLSource,
    )

    ours = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
    store = make_store(
        shop, item, raw, deep, offline_store={"type": ours, "warehouse": postgres.block}
    )
    embed(store, "deep")
    postgres.run(
        'CREATE TABLE "The Table" ("Shop" smallint, "it""em" varchar(5), "When" timestamptz, '
        'made timestamptz, "Vec" real[], deepfeast_run text, more int DEFAULT 5)'
    )
    there = PostgreSQLSource(
        name="there",
        table='"The Table"',
        timestamp_field="When",
        created_timestamp_column="made",
    )
    store.apply([there])
    assert export(store, "deep", "there").rows == 2
    found = postgres.run('SELECT "Shop", "it""em", "Vec", more FROM "The Table" ORDER BY 2')
    assert found == [(7, "a", [3, 0], 5), (7, "b", [1, 1], 5)]
