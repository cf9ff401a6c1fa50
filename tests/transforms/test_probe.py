"""Steps for one embedding: a probe that does not leak, and components."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from deepfeast.transforms.probe import (
    EmbeddingPCA,
    LinearProbe,
    is_classification,
    shuffled_folds,
)

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


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(120, 20))


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


def test_components_of_the_rows_that_have_a_vector():
    frame = pd.DataFrame({"vec_000": [0.0, 2, np.nan, 4], "vec_001": [0.0, 2, np.nan, 4]})
    parts = EmbeddingPCA(5).set_output(transform="pandas").fit_transform(frame)
    assert list(parts.columns) == ["vec_pca_00", "vec_pca_01"]
    assert parts["vec_pca_00"].round(3).tolist()[:2] == [-1.732, 0.0]
    assert parts.iloc[2].isna().all()


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        ([0, 1, 1], True),
        ([*range(21)], False),
        ([0.0, 1.0, 1.0], True),
        ([0.0, 1.0, 2.0], False),
        (["a", "b", "c"], True),
        ([[0, 1], [1, 0]], False),
    ],
)
def test_what_is_taken_for_classes(y, classes):
    assert is_classification(y) is classes


def test_several_targets_are_numbers_and_never_classes(vectors):
    y = (vectors[:, :2] > 0).astype(int)
    assert LinearProbe().fit_transform(vectors, y).shape == (120, 2)
    with pytest.raises(ValueError, match="y has 2 columns: LinearProbe classifies one target"):
        LinearProbe(task="classification").fit(vectors, y)


def test_folds_keep_groups_whole_and_classes_mixed():
    sellers = np.repeat(np.arange(10), 4)
    rare = (np.arange(40) % 4 == 0).astype(int)
    for _, test in shuffled_folds(5, rare, sellers, 0, sellers):
        assert len(test) == 8
        assert rare[test].sum() == 2
        whole = np.flatnonzero(np.isin(sellers, sellers[test]))
        assert test.tolist() == whole.tolist()
    assert len(list(shuffled_folds(5, None, np.repeat([0, 1], 20), 0, sellers))) == 2
