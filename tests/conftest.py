"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real listings and an image network; tests that need it skip elsewhere."""
    folder = Path(os.environ.get("DEEPFEAST_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "listings").is_dir():
        pytest.skip(f"no shared data at {folder}: set DEEPFEAST_SHARED to its folder")
    return folder


@pytest.fixture
def make_store(tmp_path):
    """Apply Feast objects to a repo of their own and return its FeatureStore."""

    def make(*objects, offline_store=None, name="repo", **config):
        from feast import FeatureStore, RepoConfig

        folder = tmp_path / name
        (folder / "data").mkdir(parents=True, exist_ok=True)
        ours = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
        store = FeatureStore(
            config=RepoConfig(
                project="shop",
                provider="local",
                registry=str(folder / "data" / "registry.db"),
                online_store={"type": "sqlite", "path": str(folder / "data" / "online.db")},
                offline_store=offline_store or {"type": ours},
                entity_key_serialization_version=3,
                repo_path=folder,
                **config,
            )
        )
        if objects:
            store.apply(list(objects))
        return store

    return make
