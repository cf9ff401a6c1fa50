"""A healthy repo, and how to change its configuration."""

from datetime import datetime, timedelta, timezone

import pytest

from deepfeast.pipelines.doctor.stores import ENGINE, OURS

START = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="session")
def reopen():
    """To add lines to feature_store.yaml and open the repo again."""

    def reopen(shirts, **lines):
        from feast import FeatureStore

        path = shirts.folder / "feature_store.yaml"
        text = path.read_text()
        for name, value in lines.items():
            text = "".join(f"{line}\n" for line in text.splitlines() if not line.startswith(name))
            text += f"{name}: {value}\n"
        path.write_text(text)
        shirts.store = FeatureStore(str(shirts.folder))
        return shirts

    return reopen


@pytest.fixture
def healthy(shirts, reopen):
    """A repo with our store and engine, embedded and materialized."""
    reopen(shirts, offline_store=f"{{type: {OURS}}}", batch_engine=f"{{type: {ENGINE}}}")
    shirts.write([{"id": "a", "title": "red shirt"}])
    shirts.store.materialize(START, datetime.now(timezone.utc) + timedelta(minutes=1))
    return shirts
