"""The recipes of docs/existing_models.md that need a repo, and what they promise."""

import pickle

import numpy as np
import pandas as pd
import pytest
import xgboost as xgb
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline

from deepfeast.transforms import DeepColumns, OnlineFeatures, training_frame
from deepfeast.transforms.estimators import FeastFeatures, LinearProbe, probes


@pytest.fixture(scope="module")
def shop(tmp_path_factory, Shirts):
    """60 shirts, two without a title, embedded and materialized; and their labels."""
    from datetime import datetime, timezone

    from feast import FeatureService

    shop = Shirts(tmp_path_factory.mktemp("recipes"))
    titles = [None if row % 30 == 29 else f"{'x' * (row % 9 + 1)} shirt" for row in range(60)]
    shop.write([{"id": f"s{row}", "title": title} for row, title in enumerate(titles)])
    shop.embed()
    view = shop.store.get_feature_view("deep")
    shop.store.apply([FeatureService(name="wear", features=[view])])
    shop.store.materialize(datetime(2020, 1, 1, tzinfo=timezone.utc), datetime.now(timezone.utc))
    shop.labels = pd.DataFrame(
        {
            "id": [f"s{row}" for row in range(60)],
            "event_timestamp": pd.Timestamp("2024-02-01", tz="UTC"),
            "price": [float(row % 9) for row in range(60)],
            "size": np.random.default_rng(0).normal(size=60),
        }
    )
    return shop


def test_a_pickled_pipeline_looks_up_and_predicts_in_another_place(shop, tmp_path, monkeypatch):
    forest = RandomForestRegressor(10, random_state=0)
    model = make_pipeline(FeastFeatures(shop.folder, service="wear"), forest)
    keys = shop.labels[["id", "event_timestamp"]]
    model.fit(keys, shop.labels["price"])
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(keys), model.predict(keys))
    assert model.score(keys, shop.labels["price"]) > 0.8


def test_a_pipeline_fitted_on_history_scores_a_frame_online(shop):
    model = make_pipeline(
        FeastFeatures(shop.folder, service="wear"), RandomForestRegressor(10, random_state=0)
    )
    keys = shop.labels[["id", "event_timestamp"]]
    model.fit(keys, shop.labels["price"])
    history = model.predict(keys)
    model.set_params(feastfeatures__online=True)
    assert np.array_equal(model.predict(keys[["id"]]), history)


def test_deep_columns_predict_online_what_they_predict_for_the_training_frame(shop):
    frame = training_frame(shop.store, shop.labels, service="wear").drop(columns="id")
    columns = ["vec_000", "vec_001"]
    model = make_pipeline(DeepColumns(n_components=2), RandomForestRegressor(10, random_state=0))
    model.fit(frame[columns], frame["price"])
    offline = model.predict(frame[columns])
    assert frame[columns].isna().all(axis=1).sum() == 2
    assert np.ptp(offline) > 5
    served = OnlineFeatures(shop.store, service="wear")
    backwards = shop.labels["id"].tolist()[::-1]
    online = pickle.loads(pickle.dumps(model)).predict(
        served.frame([{"id": key} for key in backwards])
    )
    assert np.array_equal(online[::-1], offline)
    assert model.predict(served.frame([{"id": "s3"}])) == offline[[3]]  # alone as among others


def test_old_columns_keep_their_order_online_and_offline(shop):
    frame = training_frame(shop.store, shop.labels, service="wear")
    served = OnlineFeatures(shop.store, service="wear").frame([{"id": "s3"}])
    assert list(frame.columns) == [*shop.labels.columns, *served.columns]
    booster = xgb.XGBRegressor(n_estimators=5, n_jobs=1)
    booster.fit(frame[["size", *served.columns]], frame["price"])
    assert list(booster.feature_names_in_) == ["size", "vec_000", "vec_001"]


def test_probes_leave_other_columns_untouched_and_in_order(shop):
    frame = training_frame(shop.store, shop.labels, service="wear")
    frame["kind"] = pd.Categorical(["a", "b"] * 30)
    step = probes({"vec": ["vec_000", "vec_001"]}).set_output(transform="pandas")
    found = step.fit_transform(frame[["size", "kind", "vec_000", "vec_001"]], frame["price"])
    assert list(found.columns) == ["vec_probe", "size", "kind"]
    assert found["size"].tolist() == frame["size"].tolist()
    assert isinstance(found["kind"].dtype, pd.CategoricalDtype)


@pytest.mark.parametrize(
    "tree",
    [RandomForestRegressor(10, random_state=0), xgb.XGBRegressor(n_estimators=10, n_jobs=1)],
    ids=["forest", "xgboost"],
)
def test_trees_take_rows_without_a_vector(shop, tree):
    frame = training_frame(shop.store, shop.labels, service="wear")
    missing = frame["vec_000"].isna()
    assert missing.sum() == 2
    model = make_pipeline(probes({"vec": ["vec_000", "vec_001"]}), tree)
    X = frame[["size", "vec_000", "vec_001"]]
    predicted = model.fit(X, frame["price"]).predict(X)
    assert np.isfinite(predicted).all()
    assert np.isnan(LinearProbe().fit_transform(X.iloc[:, 1:], frame["price"])[missing]).all()


def test_weights_reach_the_model_behind_the_probe():
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(80, 4)), columns=[f"vec_{k:03d}" for k in range(4)])
    y = np.r_[np.zeros(40), np.ones(40)] + X["vec_000"].to_numpy() / 10
    model = make_pipeline(LinearProbe(), RandomForestRegressor(10, max_depth=1, random_state=0))
    weights = np.r_[np.full(40, 1e-6), np.ones(40)]
    model.fit(X, y, randomforestregressor__sample_weight=weights)
    assert model.predict(X).mean() > 0.9
