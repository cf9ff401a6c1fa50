"""Features of a Feast repo as a scikit-learn step, and probes of several embeddings at once."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from deepfeast.transforms import estimators
from deepfeast.transforms.errors import ColumnNotFound, FeatureNotFound
from deepfeast.transforms.estimators import FeastFeatures, probes

APPLICABLE = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.mark.parametrize("name", APPLICABLE)
def test_scikit_learn_accepts_feast_features_where_it_applies(name):
    getattr(estimator_checks, name)("FeastFeatures", FeastFeatures())


def test_a_forest_does_better_with_the_probe_than_with_the_raw_numbers():
    random = np.random.default_rng(8)
    vectors = random.normal(size=(300, 100))
    y = vectors.sum(axis=1) / 10 + 0.5 * random.normal(size=300)
    frame = pd.DataFrame(vectors, columns=[f"text_vec_{k:03d}" for k in range(100)])
    forest = RandomForestRegressor(30, max_features=0.3, random_state=0)
    raw = cross_val_score(forest, frame, y, cv=3).mean()
    probed = cross_val_score(make_pipeline(probes({"t": frame.columns}), forest), frame, y, cv=3)
    assert probed.mean() > raw + 0.2


@pytest.fixture(scope="module")
def shirt_shop(tmp_path_factory, Shirts):
    """A repo with 40 shirts, embedded, and a service."""
    from feast import FeatureService

    shop = Shirts(tmp_path_factory.mktemp("shop"))
    rows = [{"id": f"s{row}", "title": f"{'x' * (row % 7 + 1)} shirt"} for row in range(40)]
    shop.write(rows)
    shop.embed()
    shop.store.apply([FeatureService(name="wear", features=[shop.store.get_feature_view("deep")])])
    return shop


@pytest.fixture
def labels():
    rows = np.arange(40)
    return pd.DataFrame(
        {
            "id": [f"s{row}" for row in rows],
            "event_timestamp": pd.Timestamp("2024-02-01", tz="UTC"),
        },
        index=rows + 100,
    )


@pytest.fixture
def features(shirt_shop):
    estimators.clear_cache()
    return FeastFeatures(shirt_shop.folder, service="wear")


def test_keys_and_times_become_features(features, labels):
    found = features.fit_transform(labels)
    assert list(found.columns) == ["vec_000", "vec_001"]
    assert list(features.get_feature_names_out()) == ["vec_000", "vec_001"]
    assert found.index.equals(labels.index)
    assert found.loc[103].tolist() == [4.0, 5.0]


def test_other_rows_repeated_or_reordered_get_their_own_features(features, labels):
    first = features.fit_transform(labels)
    mixed = labels.iloc[[5, 3, 3, 39]]
    assert features.transform(mixed).equals(first.iloc[[5, 3, 3, 39]])
    early = labels.assign(event_timestamp=pd.Timestamp("2023-01-01", tz="UTC"))
    assert features.transform(early).isna().all(axis=None)


def test_a_grid_search_asks_for_each_row_once(features, labels):
    model = make_pipeline(features, RandomForestRegressor(3))
    y = np.arange(40) % 7
    before = estimators._CACHE.lookups
    grid = {"randomforestregressor__max_depth": [1, 2, 3]}
    search = GridSearchCV(model, grid, cv=4).fit(labels, y)
    assert estimators._CACHE.lookups - before == 2  # the first fold's rows, then the others'
    assert search.score(labels, y) > 0.5


def test_what_is_kept_ends_with_its_time(features, labels):
    features.set_params(cache_seconds=0).fit(labels)
    before = estimators._CACHE.lookups
    features.transform(labels)
    features.transform(labels)
    assert estimators._CACHE.lookups - before == 2


def test_it_clones_and_pickles_without_the_store(features, labels):
    features.fit(labels)
    assert clone(features).get_params() == features.get_params()
    blob = pickle.dumps(features)
    assert b"feast" not in blob.replace(b"deepfeast", b"").lower().replace(b"feastfeatures", b"")
    assert pickle.loads(blob).transform(labels).equals(features.transform(labels))


def test_a_fitted_pipeline_scores_online(features, labels, shirt_shop):
    from datetime import datetime, timezone

    shirt_shop.store.materialize(
        datetime(2020, 1, 1, tzinfo=timezone.utc), datetime.now(timezone.utc)
    )
    model = make_pipeline(features, RandomForestRegressor(3, random_state=0))
    y = np.arange(40) % 7
    model.fit(labels, y)
    offline = model.predict(labels)
    model.set_params(feastfeatures__online=True)
    assert np.array_equal(model.predict(labels[["id"]]), offline)


def test_what_is_missing_is_named(features, labels):
    with pytest.raises(ColumnNotFound, match="no column 'event_timestamp'"):
        features.fit(labels[["id"]])
    with pytest.raises(ColumnNotFound, match="no column 'id'"):
        features.fit(labels).transform(labels[["event_timestamp"]])
    with pytest.raises(FeatureNotFound, match="got no service"):
        FeastFeatures(features.repo).fit(labels)
    with pytest.raises(TypeError, match="takes a DataFrame"):
        features.transform(labels.to_numpy())
