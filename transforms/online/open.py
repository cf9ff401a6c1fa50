"""A view's table in an online store, in the quickest way that is sound for the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepfeast.transforms import feast_api
from deepfeast.transforms.online.postgres import PostgresTable
from deepfeast.transforms.online.redis import RedisTable
from deepfeast.transforms.online.sqlite import SqliteTable
from deepfeast.transforms.online.table import OnlineTable

if TYPE_CHECKING:
    from feast import FeatureView, RepoConfig
    from feast.infra.online_stores.online_store import OnlineStore

# With one of these set, Feast keeps further columns in SQLite that only it knows how to fill.
SPECIAL = "vector_enabled", "enable_openai_compatible_store"


def online_table(store: OnlineStore, config: RepoConfig, view: FeatureView) -> OnlineTable:
    """Open a view's table: in its own words where they are known, else through Feast's interface.

    Parameters
    ----------
    store : OnlineStore
        Of the repo, e.g. ``store.provider.online_store``.
    """
    if feast_api.can_speak_to(store, feast_api.REDIS_STORE):
        return RedisTable(store, config, view)
    if feast_api.can_speak_to(store, feast_api.POSTGRES_STORE):
        return PostgresTable(store, config, view)
    plain = not any(getattr(config.online_store, name, False) for name in SPECIAL)
    if plain and feast_api.can_speak_to(store, feast_api.SQLITE_STORE):
        return SqliteTable(store, config, view)
    return OnlineTable(store, config, view)
