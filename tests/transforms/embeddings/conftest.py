import copy
import shutil

import pytest

from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.views import find_deep_view

THREE = "python:deepfeast.transforms.testing:WordLengths?dim=3"
OTHERS = [{"id": str(n), "title": "blue tie"} for n in range(30)]


@pytest.fixture
def table_of():
    """Return the embedding table of a repo about shirts."""
    return lambda shirts: embedding_table(shirts.store, find_deep_view(shirts.store, "deep")[0])


@pytest.fixture(scope="session")
def made(Shirts, tmp_path_factory):
    """Repos that are made once: what many tests begin with takes seconds."""
    two, nights = (Shirts(tmp_path_factory.mktemp("made") / name) for name in ("two", "nights"))
    two.write([{"id": "a", "title": "red shirt"}])
    two.embed()
    two.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "hat"}])
    two.embed()
    two.declare(THREE)
    two.embed(rebuild=True)
    rows = [{"id": "a", "title": "red shirt"}, *OTHERS]
    for change in ({}, {"id": "b", "title": "hat"}, {"id": "a", "title": "red"}, {"id": "c"}):
        rows = [row for row in rows if row["id"] != change.get("id")]
        rows += [{"title": "poison", **change}] if change else []
        nights.write(rows)
        nights.embed(allowed_rejects=1)
    return {"two": two, "nights": nights}


@pytest.fixture
def copied(made, tmp_path):
    """Copy one of those repos."""

    def copy_of(name):
        from feast import FeatureStore

        shutil.copytree(made[name].folder, tmp_path / name)
        shirts = copy.copy(made[name])
        shirts.folder, shirts.store = tmp_path / name, FeatureStore(str(tmp_path / name))
        return shirts

    return copy_of


@pytest.fixture
def two_versions(copied):
    """Two runs, and a rebuild by another encoder."""
    return copied("two")


@pytest.fixture
def nights(copied):
    """Four runs, of which the last three add a row, change a title and reject one."""
    return copied("nights")
