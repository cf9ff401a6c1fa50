"""Every private or unstable name of Feast that deepfeast uses, and the opening of a repo.

Feast keeps its promises for what it documents; what stands below it may move in any release. Where
a name goes, what used it goes on in the way that `NAMES` says, with one warning. A test walks the
table, so that Feast's next release shows here, and nowhere else, what it moved.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
import types
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
# Stores that keep rows of the declared features alone, and a client of somebody else's store.
UNSEALED = tuple(
    f"feast.infra.online_stores.{name}:{kind}OnlineStore"
    for name, kind in (
        ("remote", "Remote"),
        ("faiss_online_store", "Faiss"),
        ("hybrid_online_store.hybrid_online_store", "Hybrid"),
        ("milvus_online_store.milvus", "Milvus"),
        ("qdrant_online_store.qdrant", "Qdrant"),
        ("elasticsearch_online_store.elasticsearch", "ElasticSearch"),
    )
)
DASK_CONFIG = "feast.infra.offline_stores.dask:DaskOfflineStoreConfig"
APPLY = "feast.repo_operations:apply_total"
_REGISTRY = "feast.protos.feast.core.Registry_pb2:Registry"

SLOWER = "the view is met through Feast's own interface alone, with one warning"
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
    Name(f"{SQLITE_STORE}._get_db_path", "0.40", SLOWER),
    Name(f"{_SQLITE}:_table_id", "0.40", SLOWER),
    Name(f"{_SQLITE}:_quote_id", "0.67", SLOWER),
    Name(REDIS_STORE, "0.40", SLOWER),
    Name(f"{REDIS_STORE}._get_client", "0.40", SLOWER),
    Name(f"{REDIS_STORE}._read_hash_fields", "0.67", SLOWER),
    Name(f"{_REDIS}:_versioned_fv_name", "0.64", SLOWER),
    Name("feast.infra.online_stores.helpers:_mmh3", "0.40", SLOWER),
    Name(POSTGRES_STORE, "0.50", _ZONE),
    Name(f"{POSTGRES_STORE}._get_conn", "0.50", SLOWER),
    Name(f"{_POSTGRES}:_table_id", "0.50", SLOWER),
    Name(SQLITE_CONFIG, "0.40", _QUIET),
    Name(REDIS_CONFIG, "0.40", _QUIET),
    Name(DASK_CONFIG, "0.40", _QUIET),
    Name("feast.torch_wrapper:get_torch", "0.50", "commands load torch whenever they load Feast"),
    Name("feast.repo_config:RepoConfig.offline_store", "0.40", "a repo beside a warehouse fails"),
    Name(APPLY, "0.40", "deepfeast try starts feast apply as a command, which takes longer"),
    Name(_REGISTRY, "0.40", "commands load Feast to read a registry that is a file"),
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


def can_be_sealed(store: Any) -> bool:
    """Tell whether a store keeps any feature under any key, and so a seal."""
    return not any(is_a(store, kind) for kind in UNSEALED)


def store_errors() -> tuple[type[Exception], ...]:
    """Return what online stores raise that cannot be reached, or know no such view."""
    kinds = ("sqlite3:Error", "redis:RedisError", "psycopg:Error")
    names = (kind.split(":") for kind in kinds)
    return (
        OSError,
        SourceNotFound,
        *(getattr(sys.modules[m], name) for m, name in names if m in sys.modules),
    )


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


def sqlite_table(config: RepoConfig, view: FeatureView) -> str:
    """Return the quoted name of a view's table in SQLite."""
    from feast.infra.online_stores.sqlite import _quote_id, _table_id

    versioned = config.registry.enable_online_feature_view_versioning
    return _quote_id(_table_id(config.project, view, versioned))


def sqlite_path(store: Any, config: RepoConfig) -> str:
    """Return where the file of Feast's SQLite store lies."""
    return str(store._get_db_path(config))


def sqlite_connection(store: Any, config: RepoConfig, stale: Any = None) -> Any:
    """Return the connection of Feast's SQLite store; a new one, where it has a stale one.

    One whose file is gone is stale, too.

    The stale one is left to those who are reading from it.
    """
    if getattr(store, "_conn", None) is stale or not Path(sqlite_path(store, config)).exists():
        store._conn = None
    return store._get_conn(config)


def postgres_table(config: RepoConfig, view: FeatureView) -> Any:
    """Return the quoted name of a view's table in PostgreSQL."""
    from feast.infra.online_stores.postgres_online_store.postgres import _table_id
    from psycopg import sql

    versioned = config.registry.enable_online_feature_view_versioning
    return sql.Identifier(_table_id(config.project, view, versioned))


def postgres_connection(store: Any, config: RepoConfig, autocommit: bool) -> Any:
    """Return a connection of Feast's PostgreSQL store, to enter.

    Where it has one for all, and that was closed, a new one is made: Feast would ask the old one
    for ever.
    """
    single = getattr(store, "_conn", None)
    if single is not None and single.closed:
        store._conn = None
    return store._get_conn(config, autocommit=autocommit)


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


def with_offline_store(config: RepoConfig, settings: Any) -> RepoConfig:
    """Return a repo's configuration with other settings of an offline store, as Feast has them."""
    other = config.model_copy()
    other.offline_config = settings
    other._offline_store = settings  # where its property keeps what it has read
    return other


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


def import_lean(typed: bool = False) -> None:
    """Import Feast without what a command has no use for: under half the time.

    Feast imports torch, to hand out results as tensors; here it is imported when one is asked
    for. And Feast has typeguard rewrite its classes at import, so that a declaration with a wrong
    type is refused, unless Python runs with ``-O``; a command reads declarations that
    ``feast apply`` accepted. For commands alone: it decides for the whole process.

    Parameters
    ----------
    typed : bool
        Let typeguard do so all the same, for ``feast apply`` itself.
    """
    if "feast" in sys.modules:
        return
    if "torch" not in sys.modules:
        wrapper: Any = types.ModuleType("feast.torch_wrapper")
        wrapper.get_torch = lambda: importlib.import_module("torch")
        sys.modules["feast.torch_wrapper"] = wrapper
    typeguard: Any = importlib.import_module("typeguard")
    checked = typeguard.typechecked
    if not typed:
        typeguard.typechecked = lambda target: target
    try:
        importlib.import_module("feast")
    finally:
        typeguard.typechecked = checked


@dataclass(frozen=True)
class RegisteredView:
    """A feature view as a registry file has it.

    Attributes
    ----------
    name : str
    tags : dict of str to str
    uri : str
        Of its batch source: an absolute path, or a URI.
    """

    name: str
    tags: dict[str, str]
    uri: str


@dataclass(frozen=True)
class RegistryFile:
    """The feature views of one project, read without Feast."""

    project: str
    views: list[RegisteredView] = field(default_factory=list)

    def list_feature_views(self) -> list[RegisteredView]:
        """Return the views, as a FeatureStore does."""
        return self.views


def read_registry(repo: str | Path) -> RegistryFile | None:
    """Read the views of a repo from its registry file, in a hundredth of the time of Feast.

    Returns
    -------
    RegistryFile or None
        None where Feast is needed: the registry is no file on this machine, nothing was applied
        yet, access is limited, or the configuration is not as expected.
    """
    import yaml
    from google.protobuf.message import DecodeError

    unreadable = (OSError, ImportError, LookupError, TypeError, ValueError)
    try:
        config = yaml.safe_load(os.path.expandvars(config_file(repo).read_text()))
        found = config["registry"]
        options = found if isinstance(found, dict) else {"path": found}
        plain = options.keys() <= {"path", "registry_type", "cache_ttl_seconds"}
        if not plain or options.get("registry_type", "file") != "file" or "auth" in config:
            return None
        saved = (Path(repo) / options["path"]).read_bytes()
        registry = _registry_proto().FromString(saved)
    except (*unreadable, yaml.YAMLError, DecodeError):
        return None
    views = [view.spec for view in registry.feature_views]
    return RegistryFile(
        config["project"],
        [
            RegisteredView(
                view.name,
                dict(view.tags),
                _uri(Path(repo), view.batch_source.file_options.uri),
            )
            for view in views
            if view.project == config["project"]
        ],
    )


def _uri(repo: Path, path: str) -> str:
    return path if "://" in path else str(repo / path)


def _registry_proto() -> Any:
    """Load the message of a registry alone: Feast's own package imports all of Feast."""
    module, _, name = _REGISTRY.partition(":")
    if "feast" in sys.modules:
        return getattr(importlib.import_module(module), name)
    spec = importlib.machinery.PathFinder.find_spec("feast")
    bare = types.ModuleType("feast")
    bare.__path__ = list((spec and spec.submodule_search_locations) or ())
    sys.modules["feast"] = bare
    try:
        return getattr(importlib.import_module(module), name)
    finally:
        del sys.modules["feast"]
