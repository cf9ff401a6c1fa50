"""Every private or unstable name of Feast that deepfeast uses, and the opening of a repo.

Feast keeps its promises for what it documents; what stands below it may move in any release. Where
a name goes, what used it goes on in the way that `NAMES` says, with one warning. A test walks the
table, so that Feast's next release shows here, and nowhere else, what it moved.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.errors import SourceNotFound

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView, RepoConfig

_SQLITE = "feast.infra.online_stores.sqlite"
_REDIS = "feast.infra.online_stores.redis"
_POSTGRES = "feast.infra.online_stores.postgres_online_store.postgres"
SQLITE_STORE = f"{_SQLITE}:SqliteOnlineStore"
SQLITE_CONFIG = f"{_SQLITE}:SqliteOnlineStoreConfig"
REDIS_STORE = f"{_REDIS}:RedisOnlineStore"
REDIS_CONFIG = f"{_REDIS}:RedisOnlineStoreConfig"
POSTGRES_STORE = f"{_POSTGRES}:PostgreSQLOnlineStore"
DASK_CONFIG = "feast.infra.offline_stores.dask:DaskOfflineStoreConfig"

SLOWER = "the view is read and written through Feast's own interface, with one warning"
_ZONE = "times of PostgreSQL are read as the zone of the session has them"
_QUIET = "doctor says nothing of this store"


@dataclass(frozen=True)
class Name:
    """A name of Feast that may move.

    Attributes
    ----------
    where : str
        ``module:name`` or ``module:Class.name``.
    since : str
        The earliest of 0.40, 0.50, 0.60, 0.64 and 0.67 that has it.
    without : str
        What deepfeast does in a Feast that has it no more.
    """

    where: str
    since: str
    without: str


NAMES = (
    Name(SQLITE_STORE, "0.40", SLOWER),
    Name(f"{SQLITE_STORE}._get_conn", "0.40", SLOWER),
    Name(f"{_SQLITE}:_table_id", "0.40", SLOWER),
    Name(f"{_SQLITE}:_quote_id", "0.67", SLOWER),
    Name(REDIS_STORE, "0.40", SLOWER),
    Name(f"{REDIS_STORE}._get_client", "0.40", SLOWER),
    Name(f"{REDIS_STORE}._read_hash_fields", "0.67", SLOWER),
    Name(f"{_REDIS}:_versioned_fv_name", "0.64", SLOWER),
    Name("feast.infra.online_stores.helpers:_mmh3", "0.40", SLOWER),
    Name(POSTGRES_STORE, "0.50", _ZONE),
    Name(SQLITE_CONFIG, "0.40", _QUIET),
    Name(REDIS_CONFIG, "0.40", _QUIET),
    Name(DASK_CONFIG, "0.40", _QUIET),
)
_warned: set[str] = set()


def find(where: str) -> Any:
    """Return what a name stands for; None where this Feast does not have it."""
    module, _, path = where.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found


def is_a(value: Any, where: str) -> bool:
    """Tell whether a value is of just that class of Feast, without importing the class."""
    module, _, name = where.partition(":")
    return type(value) is getattr(sys.modules.get(module), name, None)


def can_speak_to(store: Any, kind: str) -> bool:
    """Tell whether a store is of a kind that is spoken to in its own words.

    One warning is given where it is, but this Feast lacks a name which that takes.
    """
    if not is_a(store, kind):
        return False
    module = kind.partition(":")[0]
    private = (name for name in NAMES if name.without == SLOWER)
    needed = [n for n in private if n.where.startswith((module, "feast.infra.online_stores.help"))]
    gone = [name.where for name in needed if find(name.where) is None]
    if gone and kind not in _warned:
        _warned.add(kind)
        warnings.warn(
            f"this Feast has no {', '.join(gone)}: {type(store).__name__} is used through its "
            f"public interface, which is slower and gives the same. Feast 0.67 and 0.68 have it.",
            stacklevel=3,
        )
    return not gone


def sqlite_table(store: Any, config: RepoConfig, view: FeatureView) -> tuple[str, Any]:
    """Return the quoted name of a view's table in SQLite, and the store's connection."""
    from feast.infra.online_stores.sqlite import _quote_id, _table_id

    versioned = config.registry.enable_online_feature_view_versioning
    return _quote_id(_table_id(config.project, view, versioned)), store._get_conn(config)


def redis_view(config: RepoConfig, view: FeatureView) -> str:
    """Return the name of a view within the fields of a hash in Redis."""
    from feast.infra.online_stores.redis import _versioned_fv_name

    return _versioned_fv_name(view, config)


def redis_field(text: str) -> bytes:
    """Return the field of a feature, ``view:feature``, in a hash in Redis."""
    from feast.infra.online_stores.helpers import _mmh3

    return _mmh3(text)


def redis_client(store: Any, config: RepoConfig) -> Any:
    """Return the client through which Feast's store talks to Redis."""
    return store._get_client(config.online_store)


def redis_hashes(
    store: Any, config: RepoConfig, asked: Sequence[tuple[bytes, list[bytes]]]
) -> list[Sequence[bytes | None]]:
    """Read fields of hashes as Feast does: for clusters, and for its other clients."""
    return store._read_hash_fields(config, asked)


def requested_features(
    references: Iterable[str], views: Sequence[FeatureView]
) -> dict[FeatureView, list[str]]:
    """Group references by the view that they name.

    Parameters
    ----------
    references : iterable of str
        ``view:feature``, ``view@v2:feature``, ``view@latest:feature``.
    views : sequence of FeatureView
        As Feast hands them to an offline store: under the name they are asked for by.
    """
    by_view: dict[FeatureView, list[str]] = {}
    for reference in references:
        named, _, feature = reference.partition(":")
        base, _, version = named.partition("@")
        wanted = base if version.lower() in ("", "latest") else f"{base}@{version.lower()}"
        for view in views:
            if view.projection.name_to_use() == wanted:
                by_view.setdefault(view, []).append(feature)
    return by_view


def config_file(repo: str | Path) -> Path:
    """Return where Feast looks for a repo's configuration."""
    return Path(os.environ.get("FEAST_FS_YAML_FILE_PATH") or Path(repo) / "feature_store.yaml")


def open_store(store: FeatureStore | str | Path) -> FeatureStore:
    """Open the Feast repo in a folder; a store that is open already is returned as it is.

    Raises
    ------
    SourceNotFound
        If there is no feature_store.yaml.
    """
    if not isinstance(store, (str, Path)):
        return store
    config = config_file(store)
    if not config.is_file():
        raise SourceNotFound(
            f"no Feast repo in {Path(store).resolve()}: there is no file {config}. Name the folder "
            f"of a feature_store.yaml; on the command line, with --repo."
        )
    from feast import FeatureStore

    return FeatureStore(repo_path=str(store))
