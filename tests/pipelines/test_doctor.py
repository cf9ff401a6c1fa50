"""The doctor finds each illness, and nothing in a healthy repo."""

from datetime import datetime, timedelta, timezone

import pytest

from deepfeast.pipelines.doctor import ENGINE, OURS, checks, diagnose, exit_status, render
from deepfeast.pipelines.junit import Check

START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def reopen(shirts, **lines):
    """Add lines to feature_store.yaml and open the repo again."""
    from feast import FeatureStore

    path = shirts.folder / "feature_store.yaml"
    text = path.read_text()
    for name, value in lines.items():
        text = "".join(f"{line}\n" for line in text.splitlines() if not line.startswith(name))
        text += f"{name}: {value}\n"
    path.write_text(text)
    shirts.store = FeatureStore(str(shirts.folder))
    return shirts


@pytest.fixture
def healthy(shirts):
    """A repo with our store and engine, embedded and materialized."""
    reopen(shirts, offline_store=f"{{type: {OURS}}}", batch_engine=f"{{type: {ENGINE}}}")
    shirts.write([{"id": "a", "title": "red shirt"}])
    shirts.store.materialize(START, datetime.now(timezone.utc) + timedelta(minutes=1))
    return shirts


def found(shirts):
    return {(finding.level, finding.where) for finding in diagnose(shirts.store)}


def text(shirts):
    return render(diagnose(shirts.store))


def test_a_healthy_repo_has_nothing_to_mend(healthy):
    assert diagnose(healthy.folder) == []
    assert render([]) == "nothing to mend"
    assert exit_status([], strict=True) == 0
    assert checks([]) == [Check("nothing to mend")]


def test_a_view_that_was_never_embedded(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}])
    findings = diagnose(shirts.store)
    assert findings[0].mend == "deepfeast embed deep"
    assert exit_status(findings) == 1


def test_a_source_with_news(healthy):
    rows = [{"id": "b", "title": "blue tie", "event_timestamp": START + timedelta(days=2)}]
    healthy.write(rows)
    assert "rows up to 2024-01-03" in text(healthy)
    findings = diagnose(healthy.store)
    assert exit_status(findings) == 0
    assert exit_status(findings, strict=True) == 1
    assert [bool(check.failure) for check in checks(findings)] == [False]
    assert "deepfeast embed deep" in checks(findings, strict=True)[0].failure


def test_an_encoder_that_changed(healthy):
    healthy.declare("python:deepfeast.transforms.testing:WordLengths?dim=3")
    assert ("error", "view deep") in found(healthy)
    assert "--rebuild" in text(healthy)


def test_embeddings_that_were_not_materialized(healthy):
    healthy.write([{"id": "a", "title": "blue tie"}])
    healthy.embed()
    assert "never materialized" in text(reopen(healthy))
    healthy.store.materialize(START, START + timedelta(days=1))
    assert diagnose(reopen(healthy).store) == []


def test_online_rows_of_another_version_or_half_written(healthy):
    from deepfeast.transforms.online.open import online_table

    healthy.embed(rebuild=True)
    assert ("error", "view deep") in found(reopen(healthy))
    assert "are of version 1 of its table, which is at 2" in text(healthy)
    view = healthy.store.get_feature_view("deep")
    table = online_table(healthy.store.provider.online_store, healthy.store.config, view)
    table.begin(table.seal())
    assert "being written anew" in text(healthy)
    healthy.store.materialize(START, START + timedelta(days=1))
    assert diagnose(reopen(healthy).store) == []


def test_a_store_that_does_not_say_what_it_holds(healthy):
    import sqlite3

    with sqlite3.connect(healthy.folder / "online.db") as connection:
        connection.execute("DELETE FROM shirts_deep")
    connection.close()
    assert found(healthy) == {("warning", "view deep")}
    assert "does not say what its rows were made with" in text(healthy)


def test_a_store_that_does_not_answer(healthy):
    pytest.importorskip("redis")
    reopen(healthy, online_store="{type: redis, connection_string: 'localhost:1'}")
    assert found(healthy) == {("error", "online_store")}
    assert "does not answer for view deep" in text(healthy)


def test_feasts_own_store_and_engine_with_vectors(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}])
    told = text(shirts)
    assert "drops label rows" in told
    assert f"batch_engine.type to {ENGINE}" in told


def test_the_rewrite_trap_of_redis(shirts):
    pytest.importorskip("redis")
    shirts.write([{"id": "a", "title": "red shirt"}])
    reopen(shirts, online_store="{type: redis, connection_string: 'localhost:1'}")
    assert "Redis ignores a write" in text(shirts)
    reopen(shirts, batch_engine=f"{{type: {ENGINE}}}")
    assert "Redis ignores a write" not in text(shirts)


def test_vector_search_on_sqlite(shirts):
    reopen(shirts, online_store="{type: sqlite, path: online.db, vector_enabled: true}")
    shirts.write([{"id": "a", "title": "red shirt"}])
    assert "Python 3.10 alone" in text(shirts)


def test_a_runner_that_loses_rows(shirts):
    reopen(shirts, batch_engine=f"{{type: {ENGINE}, runner: DaskRunner}}")
    assert ("error", "batch_engine") in found(shirts)


def test_sources_paths_created_times_and_arrays(make_store, tmp_path):
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Array, Float32

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(name="s", path="data/nowhere.parquet", timestamp_field="at")
    fields = [Field(name="vec", dtype=Array(Float32))]
    view = FeatureView(name="shops", entities=[shop], schema=fields, source=source)
    store = make_store(shop, source, view, offline_store={"type": "duckdb"})
    told = render(diagnose(store))
    assert "in the working directory, not in the repo" in told
    assert "no created_timestamp_column" in told
    assert "declares no vector_length" in told
    assert "nowhere.parquet" in told


def test_what_is_fitted_without_an_end_of_training(shirts):
    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    rows = [{"id": str(n), "title": "x" * n} for n in range(1, 4)]
    shirts.declare(words, reduce="pca:1")
    shirts.write(rows)
    shirts.embed()
    assert "fitted" not in text(shirts)  # all of one moment
    shirts.write([*rows, {"id": "9", "title": "xx", "event_timestamp": START + timedelta(days=60)}])
    shirts.embed(rebuild=True)
    assert "'vec' is fitted to data and was fitted on rows up to 2024-03-01 00:00" in text(shirts)
    assert "fit_until='2024-01-01'" in text(shirts)
    shirts.declare(words, reduce="pca:1", fit_until="2024-02-01")
    shirts.embed(rebuild=True)
    assert "fitted" not in text(shirts)
