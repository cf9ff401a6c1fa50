"""The scikit-learn steps: probes that do not leak, components, and features of a Feast repo."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from deepfeast.transforms import estimators
from deepfeast.transforms.errors import ColumnNotFound, FeatureNotFound
from deepfeast.transforms.estimators import EmbeddingPCA, FeastFeatures, LinearProbe, probes
from deepfeast.transforms.ridge import fit_ridge

OUT_OF_FOLD = {
    "check_transformer_general": "fit_transform is out of fold, as in TargetEncoder",
    "check_transformer_data_not_an_array": "fit_transform is out of fold, as in TargetEncoder",
}


@parametrize_with_checks(
    [LinearProbe(), EmbeddingPCA(2)],
    expected_failed_checks=lambda one: OUT_OF_FOLD if isinstance(one, LinearProbe) else {},
)
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


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


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(120, 20))


# --- ridge


@pytest.mark.parametrize("shape", [(40, 5), (20, 30)], ids=["tall", "wide"])
def test_the_ridge_is_the_textbook_ridge(shape):
    random = np.random.default_rng(1)
    X, y = random.normal(size=shape) * 3 + 1, random.normal(size=shape[0])
    ours = fit_ridge(X, y[:, None], np.array([0.1]))
    theirs = make_pipeline(StandardScaler(), Ridge(0.1 * shape[0])).fit(X, y)
    assert np.allclose(ours.predict(X)[:, 0], theirs.predict(X))


@pytest.mark.parametrize("groups", [None, np.arange(24) // 3], ids=["rows", "groups"])
def test_the_strength_is_the_one_that_refitting_would_choose(groups):
    random = np.random.default_rng(2)
    X = random.normal(size=(24, 6))
    y = X[:, 0] + random.normal(size=24)
    # Standardised once, so that leaving rows out changes nothing but the fit.
    X = (X - X.mean(0)) / X.std(0)
    alphas = np.array([0.001, 0.03, 1.0, 30.0])
    units = np.arange(24) if groups is None else groups

    def error(alpha):
        total = 0.0
        for unit in np.unique(units):
            out = units == unit
            left = Ridge(alpha * 24).fit(X[~out], y[~out])
            total += ((y[out] - left.predict(X[out])) ** 2).sum()
        return total

    best = min(alphas, key=error)
    assert fit_ridge(X, y[:, None], alphas, groups).alpha == best


# --- the probe


def test_noise_predicts_nothing_out_of_fold_though_it_fits_in_sample(vectors):
    y = np.random.default_rng(5).normal(size=120)
    probe = LinearProbe(alphas=[0.001])
    held_out = probe.fit_transform(vectors, y)[:, 0]
    fitted = probe.transform(vectors)[:, 0]
    assert np.corrcoef(fitted, y)[0, 1] > 0.3
    assert np.corrcoef(held_out, y)[0, 1] < 0.1


def test_a_target_moves_its_own_prediction_only_as_it_moves_all(vectors):
    y = np.random.default_rng(6).normal(size=120)
    changed = y.copy()
    changed[7] += 60.0
    fold = [(np.flatnonzero(np.arange(120) % 5 != k), np.arange(k, 120, 5)) for k in range(5)]
    before = LinearProbe(cv=fold).fit_transform(vectors, y)[:, 0]
    after = LinearProbe(cv=fold).fit_transform(vectors, changed)[:, 0]
    same_fold = np.arange(120) % 5 == 7 % 5
    assert np.allclose((after - before)[same_fold], 60.0 / 120)
    assert not np.allclose((after - before)[~same_fold], 60.0 / 120)


def test_groups_are_held_out_together():
    random = np.random.default_rng(3)
    sellers = np.repeat(np.arange(30), 4)
    # The vector names the seller and nothing else; each seller has a price level of its own.
    vectors = random.normal(size=(30, 40))[sellers] + 0.01 * random.normal(size=(120, 40))
    y = random.normal(size=30)[sellers]
    mixed = LinearProbe().fit_transform(vectors, y)[:, 0]
    apart = LinearProbe().fit_transform(vectors, y, groups=sellers)[:, 0]
    assert np.corrcoef(mixed, y)[0, 1] > 0.95
    assert np.corrcoef(apart, y)[0, 1] < 0.3


def test_in_time_the_first_rows_have_no_prediction(vectors):
    y = vectors[:, 0]
    held_out = LinearProbe(cv=TimeSeriesSplit(5)).fit_transform(vectors, y)[:, 0]
    assert np.isnan(held_out[:20]).all()
    assert np.isfinite(held_out[20:]).all()


def test_a_row_without_a_vector_is_nan_or_the_mean(vectors):
    y = vectors[:, 0] + 10
    vectors[4] = np.nan
    assert np.isnan(LinearProbe().fit_transform(vectors, y)[4, 0])
    probe = LinearProbe(missing="mean").fit(vectors, y)
    mean = np.delete(y, 4).mean()
    assert probe.transform(vectors)[4, 0] == pytest.approx(mean)
    assert probe.fit_transform(vectors, y)[4, 0] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (lambda v: v[:, 0], ["text_vec_probe"]),
        (lambda v: np.where(v[:, 0] > 0, "dear", "cheap"), ["text_vec_probe"]),
        (
            lambda v: np.array(["a", "b", "c"])[np.digitize(v[:, 0], [-0.5, 0.5])],
            ["text_vec_probe_a", "text_vec_probe_b", "text_vec_probe_c"],
        ),
        (lambda v: v[:, :2], ["text_vec_probe_0", "text_vec_probe_1"]),
    ],
    ids=["regression", "binary", "multiclass", "multi-output"],
)
def test_the_columns_of_each_task(vectors, y, names):
    frame = pd.DataFrame(vectors, columns=[f"text_vec_{k:03d}" for k in range(20)])
    probe = LinearProbe().set_output(transform="pandas")
    assert list(probe.fit_transform(frame, y(vectors)).columns) == names
    scores = probe.transform(frame)
    if names[-1].endswith("c"):
        assert (probe.classes_[scores.to_numpy().argmax(1)] == y(vectors)).mean() > 0.8


def test_no_vector_at_all_is_a_clear_error(vectors):
    with pytest.raises(ValueError, match="at least 2 rows with a vector, got 0 of 120"):
        LinearProbe().fit(np.full((120, 3), np.nan), vectors[:, 0])
    with pytest.raises(ValueError, match="120 rows and no vector"):
        EmbeddingPCA().fit(np.full((120, 3), np.nan))


def test_a_forest_does_better_with_the_probe_than_with_the_raw_numbers():
    random = np.random.default_rng(8)
    vectors = random.normal(size=(300, 100))
    y = vectors.sum(axis=1) / 10 + 0.5 * random.normal(size=300)
    frame = pd.DataFrame(vectors, columns=[f"text_vec_{k:03d}" for k in range(100)])
    forest = RandomForestRegressor(30, max_features=0.3, random_state=0)
    raw = cross_val_score(forest, frame, y, cv=3).mean()
    probed = cross_val_score(make_pipeline(probes({"t": frame.columns}), forest), frame, y, cv=3)
    assert probed.mean() > raw + 0.2


def test_groups_reach_the_probe_through_a_column_transformer():
    random = np.random.default_rng(3)
    sellers = np.repeat(np.arange(20), 5)
    frame = pd.DataFrame(random.normal(size=(20, 30))[sellers])
    frame.columns = [f"vec_{k:03d}" for k in range(30)]
    y = random.normal(size=20)[sellers]
    with sklearn.config_context(enable_metadata_routing=True):
        probe = LinearProbe().set_fit_request(groups=True)
        step = ColumnTransformer([("vec", probe, list(frame.columns))])
        pipeline = make_pipeline(step, LinearRegression())
        pipeline.fit(frame, y, groups=sellers)
        routed = step.fit_transform(frame, y, groups=sellers)
    assert np.allclose(routed, LinearProbe().fit_transform(frame, y, groups=sellers))


# --- components


def test_components_of_the_rows_that_have_a_vector():
    frame = pd.DataFrame({"vec_000": [0.0, 2, np.nan, 4], "vec_001": [0.0, 2, np.nan, 4]})
    parts = EmbeddingPCA(5).set_output(transform="pandas").fit_transform(frame)
    assert list(parts.columns) == ["vec_pca_00", "vec_pca_01"]
    assert parts["vec_pca_00"].round(3).tolist()[:2] == [-1.732, 0.0]
    assert parts.iloc[2].isna().all()


# --- features of a repo


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
