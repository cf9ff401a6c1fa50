"""Stores and engines that lose something."""

from datetime import datetime, timezone

import pytest

from deepfeast.pipelines.doctor import diagnose, render
from deepfeast.pipelines.doctor.stores import ENGINE

START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def found(shirts):
    return {(finding.level, finding.where) for finding in diagnose(shirts.store)}


def text(shirts):
    return render(diagnose(shirts.store))


def test_feasts_own_store_and_engine_with_vectors(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}])
    told = text(shirts)
    assert "drops label rows" in told
    assert f"batch_engine.type to {ENGINE}" in told


def test_the_rewrite_trap_of_redis(shirts, reopen):
    pytest.importorskip("redis")
    shirts.write([{"id": "a", "title": "red shirt"}])
    reopen(shirts, online_store="{type: redis, connection_string: 'localhost:1'}")
    assert "Redis ignores a write" in text(shirts)
    reopen(shirts, batch_engine=f"{{type: {ENGINE}}}")
    assert "Redis ignores a write" not in text(shirts)


def test_vector_search_on_sqlite(shirts, reopen):
    reopen(shirts, online_store="{type: sqlite, path: online.db, vector_enabled: true}")
    shirts.write([{"id": "a", "title": "red shirt"}])
    assert "Python 3.10 alone" in text(shirts)


def test_a_runner_that_loses_rows(shirts, reopen):
    reopen(shirts, batch_engine=f"{{type: {ENGINE}, runner: DaskRunner}}")
    assert ("error", "batch_engine") in found(shirts)
