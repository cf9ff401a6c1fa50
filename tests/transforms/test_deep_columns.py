"""Each embedding as probe and components, other columns beside them untouched."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from deepfeast.transforms import DeepColumns, EmbeddingPCA, LinearProbe
from deepfeast.transforms.arrow import flat_names

OUT_OF_FOLD = {
    "check_transformer_general": "fit_transform is out of fold, as in TargetEncoder",
    "check_transformer_data_not_an_array": "fit_transform is out of fold, as in TargetEncoder",
    "check_dataframe_column_names_consistency": "columns of a frame say which are deep",
}
TITLE, PHOTO = flat_names("title_vec", 12), flat_names("photo_vec", 6)


@parametrize_with_checks([DeepColumns()], expected_failed_checks=lambda one: OUT_OF_FOLD)
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


@pytest.fixture
def frame():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(120, 18)).astype("float32")
    frame = pd.DataFrame(vectors, columns=[*TITLE, *PHOTO], index=np.arange(120) + 1000)
    frame.insert(0, "kind", pd.Categorical(np.where(random.random(120) < 0.5, "tent", "loft")))
    frame["beds"] = random.integers(1, 5, 120)
    frame.loc[1003, PHOTO] = np.nan
    return frame


@pytest.fixture
def price(frame):
    return frame[TITLE].sum(axis=1) + frame["beds"]


def test_its_columns_are_those_of_probe_and_components(frame, price):
    step = DeepColumns(n_components=2)
    made = step.fit_transform(frame, price)
    assert list(made) == [
        "kind",
        "beds",
        "title_vec_probe",
        "title_vec_pca_00",
        "title_vec_pca_01",
        "photo_vec_probe",
        "photo_vec_pca_00",
        "photo_vec_pca_01",
    ]
    assert list(step.get_feature_names_out()) == list(made)
    assert made.index.equals(frame.index)
    assert made["kind"].equals(frame["kind"])
    probe, components = LinearProbe(), EmbeddingPCA(2)
    assert np.array_equal(made[["title_vec_probe"]], probe.fit_transform(frame[TITLE], price))
    assert np.array_equal(made.filter(like="title_vec_pca"), components.fit_transform(frame[TITLE]))
    assert np.array_equal(step.transform(frame)[["title_vec_probe"]], probe.transform(frame[TITLE]))


def test_a_row_without_a_vector_is_nan_or_the_mean(frame, price):
    made = DeepColumns(n_components=2).fit_transform(frame, price).loc[1003]
    assert made.filter(like="photo").isna().all()
    assert made.filter(like="title").notna().all()
    filled = DeepColumns(n_components=2, missing="mean").fit_transform(frame, price).loc[1003]
    assert filled["photo_vec_probe"] == pytest.approx(price.drop(1003).mean(), rel=1e-5)
    assert filled["photo_vec_pca_00"] == 0


def test_a_pickled_pipeline_predicts_the_same_for_one_row_as_for_many(frame, price):
    numbers = frame.drop(columns="kind")
    model = make_pipeline(DeepColumns(missing="mean"), LinearRegression()).fit(numbers, price)
    again = pickle.loads(pickle.dumps(model))
    one_by_one = [again.predict(numbers.iloc[[row]])[0] for row in range(5)]
    assert np.allclose(one_by_one, model.predict(numbers)[:5], rtol=1e-5)
    assert "title_vec_probe" in DeepColumns().set_output(transform="pandas").fit(
        frame, price
    ).transform(frame)


def test_a_shuffled_target_is_not_predicted_in_a_cross_validation():
    random = np.random.default_rng(1)
    wide = pd.DataFrame(random.normal(size=(200, 150)), columns=flat_names("vec", 150))
    noise = random.permutation(wide["vec_000"].to_numpy())
    model = make_pipeline(DeepColumns(n_components=5), LinearRegression())
    assert cross_val_score(model, wide, noise, cv=5).mean() < 0.05
    # Nor does the training itself believe in it: the column is out of fold.
    made = DeepColumns(alphas=[0.001]).fit_transform(wide, noise)
    assert np.corrcoef(made["vec_probe"], noise)[0, 1] < 0.15


def test_groups_and_time_reach_the_probe(frame, price):
    sellers = np.arange(120) // 4
    grouped = DeepColumns().fit_transform(frame, price, groups=sellers)["title_vec_probe"]
    alone = LinearProbe().fit_transform(frame[TITLE], price, groups=sellers)[:, 0]
    assert np.array_equal(grouped, alone)
    forward = DeepColumns(cv=TimeSeriesSplit(5)).fit_transform(frame, price)
    assert forward["title_vec_probe"].isna().sum() == 20


def test_what_is_not_there_is_said(frame, price):
    with pytest.raises(ValueError, match="no deep feature among kind, beds"):
        DeepColumns().fit(frame[["kind", "beds"]], price)
    with pytest.raises(ValueError, match="found no p1 among kind"):
        DeepColumns({"photo": ["p1"]}).fit(frame, price)
    frame[PHOTO] = np.nan
    with pytest.raises(ValueError, match="photo_vec: LinearProbe needs at least 2 rows"):
        DeepColumns().fit(frame, price)
