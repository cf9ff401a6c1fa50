"""Where an export goes: what stands behind ``--to``, as a table of a warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.errors import SpecError, did_you_mean
from deepfeast.transforms.warehouse.open import (
    Warehouse,
    data_uri,
    lies_in_files,
    open_warehouse,
    warehouse_of,
)
from deepfeast.transforms.warehouse.postgres import speaks

if TYPE_CHECKING:
    from feast import FeatureStore


@dataclass(frozen=True)
class Destination:
    """A table of a warehouse.

    Attributes
    ----------
    to : str
        As it was asked for.
    uri : str
        Where it is, for messages; it has no password.
    warehouse : Warehouse
    source : DataSource or None
        How the repo declares it.
    table : str
        Its name in PostgreSQL; empty for other warehouses.
    """

    to: str
    uri: str
    warehouse: Warehouse
    source: Any
    table: str


def find_destination(store: FeatureStore, to: str) -> Destination:
    """Return the table that an export goes to.

    Parameters
    ----------
    store : FeatureStore
    to : str
        Name of a source of the repo, or ``schema.table`` in the repo's own PostgreSQL.

    Raises
    ------
    SpecError
        If it is neither, or a query, or a file.
    """
    sources: dict[str, Any] = {one.name: one for one in store.list_data_sources()}
    if to in sources:
        return _declared(store, to, sources[to])
    warehouse = open_warehouse(store.config)
    if "." not in to or warehouse is None or not speaks(warehouse):
        raise SpecError(
            f"no source {to!r} in project {store.project!r}. It has: "
            f"{', '.join(sorted(sources)) or 'none'}.{did_you_mean(to, sources)} Give the name of "
            f"one that lies in the warehouse, or schema.table where that is PostgreSQL."
        )
    inner = warehouse.config.offline_store
    uri = f"postgres://{inner.host}:{inner.port}/{inner.database}.{to}"
    return Destination(to, uri, warehouse, None, to)


def _declared(store: FeatureStore, to: str, source: Any) -> Destination:
    # What is pushed to, or streamed, has its rows behind it.
    source = getattr(source, "batch_source", None) or source
    if lies_in_files(source):
        raise SpecError(
            f"the source {to!r} lies in files: an export is for a warehouse. Whatever reads files "
            f"can read the embedding table itself, which is a Delta table."
        )
    warehouse = warehouse_of(store.config, source)
    uri = data_uri(store.config, source)
    if not speaks(warehouse):
        return Destination(to, uri, warehouse, source, "")
    table = source.get_table_query_string()
    if table.startswith("("):
        raise SpecError(f"the source {to!r} is a query: name one that is a table.")
    return Destination(to, uri, warehouse, source, table)
