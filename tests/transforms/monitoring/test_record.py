"""Figures are appended, and the last under a key stand."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timezone
from types import SimpleNamespace

import pytest

from deepfeast.transforms.embeddings.delta import named_files, open_delta
from deepfeast.transforms.monitoring import record
from deepfeast.transforms.monitoring.record import Record

NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)


@pytest.fixture(params=["repo", "data[1]", "o'brien"])
def config(request, tmp_path):
    """What is needed of a Feast configuration: its folder, of any name."""
    return SimpleNamespace(repo_path=tmp_path / request.param)


def figures(feature="size", day=10, baseline=False, **more):
    return {
        "project_id": "shop",
        "feature_view_name": "plain",
        "feature_name": feature,
        "metric_date": date(2024, 5, day),
        "granularity": "daily",
        "data_source_type": "batch",
        "computed_at": NOON,
        "is_baseline": baseline,
        "feature_type": "numeric",
        **more,
    }


def test_what_is_saved_last_stands_and_is_found_by_date(config):
    kept = Record(config, "feature")
    kept.ensure()
    kept.ensure()
    assert kept.query("shop") == []
    kept.save([figures(day=11, mean=1.0), figures(day=9, mean=2.0)])
    kept.save([figures(day=11, mean=3.0), figures("colour", mean=None)])
    told = [(row["metric_date"], row["mean"]) for row in kept.query("shop")]
    assert told == [("2024-05-09", 2.0), ("2024-05-10", None), ("2024-05-11", 3.0)]
    (row,) = kept.query("shop", {"feature_name": "size", "granularity": None}, date(2024, 5, 10))
    assert row["computed_at"] == "2024-05-10T12:00:00+00:00"
    assert kept.query("shop", end=date(2024, 5, 8)) == kept.query("other") == []


def test_many_files_become_one(config, monkeypatch):
    monkeypatch.setattr(record, "MOST_FILES", 3)
    kept = Record(config, "feature")
    for day in (1, 2, 2, 3):
        kept.save([figures(day=day, mean=float(day))])
    assert len(named_files(open_delta(str(kept.path)))) == 2
    assert [row["mean"] for row in kept.query("shop")] == [1, 2, 3]


def test_those_who_save_at_once_lose_nothing(config, monkeypatch):
    monkeypatch.setattr(record, "MOST_FILES", 3)
    jobs = [{"job_id": str(number), "project_id": "shop"} for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda job: Record(config, "job").save([job]), jobs))
    assert [job["job_id"] for job in Record(config, "job").query("")] == [*"01234567"]


def test_a_baseline_is_cleared(config):
    kept = Record(config, "feature")
    kept.save([figures(day=day, baseline=True) for day in (1, 2)] + [figures("vec", baseline=True)])
    kept.clear_baseline({"project_id": "shop", "feature_name": "size", "data_source_type": None})
    (left,) = kept.query("shop", {"is_baseline": True})
    assert left["feature_name"] == "vec"
    assert len(kept.query("shop")) == 3
