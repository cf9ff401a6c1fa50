"""The warehouse that a repo already has: Feast's own store for it, behind ours.

What stood under ``offline_store:`` stands under ``offline_store.warehouse:``, untouched. Views over
files and deep views are ours; every other source is asked for through Feast's store, with the
configuration that it knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.feast_api import with_offline_store
from deepfeast.transforms.files.place import photo_folder, source_uri
from deepfeast.transforms.warehouse import spark

if TYPE_CHECKING:
    from feast import RepoConfig
    from feast.infra.offline_stores.offline_store import OfflineStore

BLOCK = (
    "offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore, "
    "warehouse: {<what stood under offline_store before>}}"
)

# Feast's stores for files, which need no warehouse.
FILES = ("file", "dask", "duckdb")
# What Feast calls the packages of a store otherwise than the store.
EXTRAS = {"bigquery": "gcp", "redshift": "aws", "athena": "aws"}
SECRET = re.compile("pass|secret|token|key|credential", re.IGNORECASE)
_NO_QUOTES = str.maketrans("", "", '`"')


@dataclass(frozen=True)
class Warehouse:
    """Feast's own store for a warehouse.

    Attributes
    ----------
    config : RepoConfig
        The repo's, with the warehouse's block as its offline store.
    store : OfflineStore
    """

    config: RepoConfig
    store: OfflineStore

    @property
    def kind(self) -> str:
        """What Feast calls it, such as ``postgres``."""
        return str(self.config.offline_store.type)

    def discreet(self, text: str) -> str:
        """Take passwords and the like out of what a server or its client said."""
        told = dict(self.config.offline_store)
        for within in list(told.values()):
            told.update(within if isinstance(within, dict) else {})  # such as spark_conf
        for name, value in told.items():
            if SECRET.search(name) and isinstance(value, str) and value:
                text = text.replace(value, "***")
        return text


def lies_in_files(source: Any) -> bool:
    """Tell whether a source can be read without its offline store."""
    from feast import FileSource

    return isinstance(source, FileSource)


def open_warehouse(config: RepoConfig) -> Warehouse | None:
    """Open the warehouse that a repo's configuration names; None where it names none."""
    from feast.infra.offline_stores.offline_utils import get_offline_store_from_config

    block = getattr(config.offline_store, "warehouse", None)
    if block is None:
        return None
    inner = settings(block)
    store: Any = get_offline_store_from_config(inner)
    if spark.speaks(store):
        from deepfeast.transforms.warehouse.spark_store import SparkStore

        store = SparkStore(store)
    return Warehouse(with_offline_store(config, inner), store)


def warehouse_of(config: RepoConfig, source: Any) -> Warehouse:
    """Return the warehouse that a source lies in.

    Raises
    ------
    SpecError
        If the repo has none; it says what to write.
    """
    found = open_warehouse(config)
    if found is None:
        raise SpecError(
            f"the source {source.name!r} is a {type(source).__name__}, which lies in no files, and "
            f"this repo names no warehouse. In feature_store.yaml: {BLOCK}."
        )
    return found


def elsewhere(config: RepoConfig, source: Any) -> Warehouse | None:
    """Return the warehouse that a source lies in; None where it lies in files."""
    return None if lies_in_files(source) else warehouse_of(config, source)


def photo_root(config: RepoConfig, source: Any) -> str:
    """Return the folder that paths of photos in a raw source are relative to.

    That is the folder of a source in files, and the repo's own for one in a warehouse.
    """
    if lies_in_files(source):
        return photo_folder(config, source)
    return str(Path(config.repo_path or ".").resolve())


def data_uri(config: RepoConfig, source: Any) -> str:
    """Say where a source lies: its path or URI, or as OpenLineage names tables of a server."""
    if lies_in_files(source):
        return source_uri(config, source)
    warehouse = warehouse_of(config, source)
    table = rows_from(source)
    name = source.name if table.startswith("(") else table
    if warehouse.kind != "postgres":
        return f"{warehouse.kind}://{name.translate(_NO_QUOTES)}"
    inner = warehouse.config.offline_store
    name = name if "." in name else f"{inner.db_schema}.{name}"
    return f"postgres://{inner.host}:{inner.port}/{inner.database}.{name}"


def rows_from(source: Any) -> str:
    """Say what a source of a warehouse reads: a table, a path, or a query in parentheses."""
    if query := getattr(source, "query", None):
        return f"({query})"
    if type(source).__name__ == spark.SOURCE:  # calls a path by another name each time
        return str(source.table or source.path)
    return str(getattr(source, "get_table_query_string", lambda: f"({source.name})")())


def settings(block: Any) -> Any:
    """Read a warehouse's block as Feast does.

    Parameters
    ----------
    block : dict
        With a ``type`` and what Feast's store of that type takes.

    Raises
    ------
    SpecError
        If it is none, or lacks something; values, a password may be among them, are never told.
    """
    from feast.errors import FeastError
    from feast.repo_config import get_offline_config_from_type
    from pydantic import ValidationError

    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str) or kind.endswith("DeepFeastOfflineStore"):
        raise SpecError(
            f"offline_store.warehouse needs the block of a store of Feast's own, with its type. "
            f"In feature_store.yaml: {BLOCK}."
        )
    if kind in FILES:
        raise SpecError(
            f"offline_store.warehouse is of type {kind!r}, which reads files, as deepfeast's own "
            f"store does. Leave warehouse out, or name there what other sources lie in."
        )
    try:
        return get_offline_config_from_type(kind)(**block)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise SpecError(f"offline_store.warehouse, of type {kind!r}: {faults}.") from None
    except (FeastError, ImportError) as error:
        extra = EXTRAS.get(kind, kind.partition(".")[0])
        raise SpecError(
            f"offline_store.warehouse: Feast cannot load its store of type {kind!r}: {error}. "
            f"Install what it needs: pip install 'feast[{extra}]'."
        ) from error
