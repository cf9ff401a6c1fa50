"""Feast's own search by vector finds what is nearest, as the exact search over the table does."""

from datetime import datetime, timezone

import numpy as np
import pytest

from deepfeast.pipelines.search import VectorSearch
from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.online.postgres import PostgresTable

TITLES = ["red shirt", "a hat", "blue shirts for winter", "wool", None, "an old grey hat"]


@pytest.fixture
def found(shirts, pgvector):
    """Shirts whose vectors are online in a PostgreSQL with pgvector, and Feast's search of them."""
    import yaml
    from feast import FeatureStore

    path = shirts.folder / "feature_store.yaml"
    config = yaml.safe_load(path.read_text())
    config["online_store"] = {**pgvector.block, "vector_enabled": True}
    ours = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
    config["offline_store"] = {"type": ours}
    config["batch_engine"] = {"type": "deepfeast.pipelines.engine.BeamEngine"}
    path.write_text(yaml.safe_dump(config))
    shirts.store = FeatureStore(str(shirts.folder))
    shirts.features = {"vec": "title", "plain": "title"}
    return shirts


def test_what_is_materialized_is_found_by_its_distance(found, pgvector):
    declare(found)
    found.write([{"id": str(n), "title": title} for n, title in enumerate(TITLES)])
    found.embed()
    store = found.store
    table = online_table(store.provider.online_store, store.config, store.get_feature_view("deep"))
    assert type(table) is PostgresTable
    assert table._plain
    store.materialize(datetime(2023, 1, 1), datetime.now(timezone.utc))
    exact = VectorSearch(store, "deep", "vec").search("red shirts", count=4)
    answer = store.retrieve_online_documents_v2(
        features=["deep:vec"], query=[3.0, 6.0, 0.0, 0.0], top_k=4, distance_metric="cosine"
    ).to_dict()
    vectors = {row["id"]: row["vec"] for row in found.rows()}
    assert answer["vec"] == [vectors[hit.key["id"]] for hit in exact.hits]
    near = [1 - hit.cosine for hit in exact.hits]
    np.testing.assert_allclose(answer["distance"], near, atol=1e-6)
    # Feast would keep the other vectors for its search, too, whose length it then stumbles over.
    rows = "SELECT DISTINCT feature_name FROM shirts_deep WHERE vector_value IS NOT NULL"
    assert pgvector.run(rows) == [("vec",)]


def test_a_table_that_was_made_without_search_is_told(found):
    settings = found.store.config.online_store
    settings.vector_enabled = False
    declare(found)
    settings.vector_enabled = True
    found.write([{"id": "a", "title": "a hat"}])
    found.embed()
    with pytest.raises(SpecError, match=r'without vector_enabled.* DROP TABLE "shirts_deep"; then'):
        found.store.materialize(datetime(2023, 1, 1), datetime.now(timezone.utc))


def declare(shirts):
    from deepfeast.transforms import DeepFeature, deep_feature_view

    words = "python:deepfeast.transforms.testing:WordLengths?dim="
    features = [
        DeepFeature("vec", column="title", encoder=f"{words}4", vector_index="cosine"),
        DeepFeature("plain", column="title", encoder=f"{words}2"),
    ]
    view = deep_feature_view(
        name="deep", entities=[shirts.entity], source=shirts.source, features=features
    )
    shirts.store.apply([shirts.entity, shirts.source, view])
