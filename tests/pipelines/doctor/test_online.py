"""An online store that lacks what the embedding table has."""

from datetime import datetime, timedelta, timezone

import pytest

from deepfeast.pipelines.doctor import diagnose, render

START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def found(shirts):
    return {(finding.level, finding.where) for finding in diagnose(shirts.store)}


def text(shirts):
    return render(diagnose(shirts.store))


def test_embeddings_that_were_not_materialized(healthy, reopen):
    healthy.write([{"id": "a", "title": "blue tie"}])
    healthy.embed()
    assert "never materialized" in text(reopen(healthy))
    healthy.store.materialize(START, START + timedelta(days=1))
    assert diagnose(reopen(healthy).store) == []


def test_online_rows_of_another_version_or_half_written(healthy, reopen):
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


def test_a_store_that_does_not_answer(healthy, reopen):
    pytest.importorskip("redis")
    reopen(healthy, online_store="{type: redis, connection_string: 'localhost:1'}")
    assert found(healthy) == {("error", "online_store")}
    assert "does not answer for view deep" in text(healthy)
