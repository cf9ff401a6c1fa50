"""A repo about shirts beside a real PostgreSQL, whose vectors go there."""

import pytest
import yaml


class Closet:
    """Shirts, and a warehouse for their vectors.

    Attributes
    ----------
    shirts : Shirts
    warehouse : Postgres
    """

    def __init__(self, shirts, warehouse, to=""):
        from feast import FeatureStore

        self.shirts, self.warehouse = shirts, warehouse
        path = shirts.folder / "feature_store.yaml"
        config = yaml.safe_load(path.read_text())
        ours = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
        config["offline_store"] = {"type": ours, "warehouse": warehouse.block}
        path.write_text(yaml.safe_dump(config))
        shirts.store = FeatureStore(str(shirts.folder))
        self.to = to or f"{warehouse.block['db_schema']}.vectors"

    def wear(self, *titles, **options):
        """Write shirts named by their titles, and embed them."""
        rows = [{"id": title or "none", "title": title} for title in titles]
        self.shirts.write(rows)
        return self.shirts.embed(**options)

    def export(self, **options):
        from deepfeast.pipelines.export import export

        return export(self.shirts.store, "deep", options.pop("to", self.to), **options)

    def there(self, columns="id, vec"):
        return self.warehouse.run(f"SELECT {columns} FROM vectors ORDER BY 1")


@pytest.fixture(name="Closet")
def closet_class():
    """To build one beside another warehouse."""
    return Closet


@pytest.fixture
def closet(shirts, postgres):
    """With arrays alone."""
    return Closet(shirts, postgres)


@pytest.fixture
def vector_closet(shirts, pgvector):
    """With pgvector."""
    return Closet(shirts, pgvector)
