"""What deepfeast takes from below Feast's promises, and the one way to open a repo."""

import re
from pathlib import Path

import pytest

from deepfeast.transforms import feast_api
from deepfeast.transforms.errors import SourceNotFound
from deepfeast.transforms.estimators import FeastFeatures
from deepfeast.transforms.feast_api import NAMES, find, is_a, open_store, requested_features
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
