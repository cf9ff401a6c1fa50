"""What deepfeast takes from below Feast's promises, and the one way to open a repo."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deepfeast.transforms import feast_api
from deepfeast.transforms.errors import SourceNotFound
from deepfeast.transforms.estimators import FeastFeatures
from deepfeast.transforms.feast_api import (
    NAMES,
    find,
    is_a,
    open_store,
    read_registry,
    requested_features,
)
from deepfeast.transforms.files.place import source_uri
from deepfeast.transforms.join import training_frame
from deepfeast.transforms.lookup import OnlineFeatures

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.where)
def test_this_feast_has_every_name_of_the_table(name):
    for store, package in {"redis": "redis", "postgres": "psycopg"}.items():
        if store in name.where:
            pytest.importorskip(package)
    assert find(name.where) is not None, f"gone from Feast; then {name.without}"


def test_a_private_name_of_the_table_is_written_in_no_other_module():
    words = {re.split("[:.]", name.where)[-1] for name in NAMES}
    private = {word for word in words if word.startswith("_")} | {"_materialize_one"}
    for path in sorted(p for f in ("transforms", "pipelines") for p in (ROOT / f).rglob("*.py")):
        if path.name != "feast_api.py":
            met = private & set(re.findall(r"\w+", path.read_text()))
            assert not met, f"{path} writes {met}"


def test_a_name_that_is_gone_is_none():
    assert find("feast.utils:_no_such_name") is None
    assert find("feast.no_such_module:name") is None


def test_a_class_is_known_by_itself_and_not_by_its_name(make_store):
    class SqliteOnlineStore:
        pass

    config = make_store().config
    assert is_a(config.online_store, feast_api.SQLITE_CONFIG)
    assert not is_a(config.online_store, feast_api.REDIS_CONFIG)
    assert not is_a(SqliteOnlineStore(), feast_api.SQLITE_STORE)


def test_features_are_grouped_by_the_view_they_name(make_store, tmp_path):
    from feast import FeatureView, FileSource

    source = FileSource(name="s", path=str(tmp_path / "s.parquet"), timestamp_field="at")
    shops, sales = (FeatureView(name=name, source=source) for name in ("shops", "sales"))
    asked = ["shops:size", "sales:sum", "shops@latest:vec"]
    found = requested_features(asked, [shops, sales])
    assert {view.name: names for view, names in found.items()} == {
        "shops": ["size", "vec"],
        "sales": ["sum"],
    }


def asks(folder):
    import pandas as pd

    labels = pd.DataFrame({"id": ["a"], "event_timestamp": [pd.Timestamp("2024-01-01", tz="UTC")]})
    return {
        "open_store": lambda: open_store(folder),
        "training_frame": lambda: training_frame(folder, labels, service="model"),
        "FeastFeatures": lambda: FeastFeatures(folder, service="model").fit(labels),
        "OnlineFeatures": lambda: OnlineFeatures(folder, "model"),
    }


@pytest.mark.parametrize("who", ["open_store", "training_frame", "FeastFeatures", "OnlineFeatures"])
def test_a_folder_that_is_no_repo_is_the_same_clear_error_everywhere(tmp_path, who):
    with pytest.raises(SourceNotFound, match=rf"no Feast repo in {tmp_path}: there is no file"):
        asks(tmp_path)[who]()


def test_the_configuration_may_lie_where_feast_looks_for_it(shirts, tmp_path, monkeypatch):
    elsewhere = (shirts.folder / "feature_store.yaml").rename(tmp_path / "elsewhere.yaml")
    with pytest.raises(SourceNotFound):
        open_store(shirts.folder)
    monkeypatch.setenv("FEAST_FS_YAML_FILE_PATH", str(elsewhere))
    assert [view.name for view in open_store(shirts.folder).list_feature_views()] == ["deep"]


def test_an_open_store_is_taken_as_it_is(shirts):
    assert open_store(shirts.store) is shirts.store


def said(code, *words):
    """Run Python on its own, where nothing is imported yet."""
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_command_imports_feast_without_torch_and_leaves_typeguard_as_it_was(shirts):
    code = """if True:
        import sys, typeguard
        from deepfeast.transforms.feast_api import import_lean, open_store
        before = typeguard.typechecked
        import_lean()
        print("torch" in sys.modules, typeguard.typechecked is before)
        print([view.name for view in open_store(sys.argv[1]).list_feature_views()])
        from feast.torch_wrapper import get_torch
        print(get_torch() is sys.modules["torch"])
    """
    assert said(code, shirts.folder) == ["False", "True", "['deep']", "True"]


def test_a_registry_file_is_read_as_feast_reads_it(shirts):
    registry = read_registry(shirts.folder)
    views = shirts.store.list_feature_views()
    assert registry.project == shirts.store.project
    assert [(view.name, view.tags, view.uri) for view in registry.list_feature_views()] == [
        (view.name, view.tags, source_uri(shirts.store.config, view.batch_source)) for view in views
    ]


def configure(repo, old, new):
    config = repo / "feature_store.yaml"
    config.write_text(config.read_text().replace(old, new))


def test_views_of_other_projects_in_the_same_file_are_not_its_own(shirts):
    configure(shirts.folder, "project: shirts", "project: trousers")
    assert read_registry(shirts.folder).list_feature_views() == []


def test_the_registry_may_be_named_by_the_environment_and_with_options(shirts, monkeypatch):
    (shirts.folder / "registry.db").rename(shirts.folder / "elsewhere.db")
    configure(shirts.folder, "registry.db", "{path: $WHERE, cache_ttl_seconds: 60}")
    monkeypatch.setenv("WHERE", "elsewhere.db")
    assert [view.name for view in read_registry(shirts.folder).views] == ["deep"]


@pytest.mark.parametrize(
    "registry",
    [
        "{registry_type: sql, path: 'sqlite:///registry.db'}",
        "s3://bucket/registry.db",
        "not-there.db",
        "feature_store.yaml",
        "",
    ],
)
def test_feast_is_asked_where_the_registry_is_no_file_of_its_own(shirts, registry):
    configure(shirts.folder, "registry.db", registry)
    assert read_registry(shirts.folder) is None


def test_feast_can_be_imported_after_its_registry_was_read_without_it(shirts):
    code = """if True:
        import sys
        from deepfeast.transforms.feast_api import read_registry
        print([view.name for view in read_registry(sys.argv[1]).views], "feast" in sys.modules)
        import feast, feast.protos.feast.core.Registry_pb2
        print(feast.FeatureStore(sys.argv[1]).list_feature_views()[0].name)
    """
    assert said(code, shirts.folder) == ["['deep']", "False", "deep"]
