"""The ridge in closed form is the one that refitting would give."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepfeast.transforms.ridge import (
    _by_size,
    _left_out_groups,
    _left_out_rows,
    _left_vectors,
    center_and_spread,
    fit_ridge,
    influences,
)


@pytest.mark.parametrize("shape", [(40, 5), (20, 30)], ids=["tall", "wide"])
def test_the_ridge_is_the_textbook_ridge(shape):
    random = np.random.default_rng(1)
    X, y = random.normal(size=shape) * 3 + 1, random.normal(size=shape[0])
    ours = fit_ridge(X, y[:, None], np.array([0.1]))
    theirs = make_pipeline(StandardScaler(), Ridge(0.1 * shape[0])).fit(X, y)
    assert np.allclose(ours.predict(X)[:, 0], theirs.predict(X))


@pytest.mark.parametrize("shape", [(40, 5), (20, 30)], ids=["tall", "wide"])
def test_the_influence_of_rows_adds_up_to_what_the_ridge_says(shape):
    random = np.random.default_rng(3)
    X, y = random.normal(size=shape) * 3 + 1, random.normal(size=shape[0])
    X[:, 0] = 7  # says nothing
    parts = random.normal(size=(4, shape[1]))
    said = parts @ fit_ridge(X, y[:, None], np.array([0.1])).coef[0]
    assert np.allclose(influences(X, 0.1, parts).T @ y, said)


ALPHAS = np.array([0.001, 0.03, 1.0, 30.0])


@pytest.mark.parametrize(
    "units",
    [np.arange(24), np.arange(24) // 3, np.minimum(np.arange(24), 20)],
    ids=["rows", "groups of three", "rows and a group of four"],
)
def test_the_errors_on_what_is_left_out_are_those_of_refits(units):
    random = np.random.default_rng(2)
    X = random.normal(size=(24, 6))
    Y = np.stack([X[:, 0] + random.normal(size=24), random.normal(size=24)], axis=1)
    # Standardised once, so that leaving rows out changes nothing but the fit.
    X = (X - X.mean(0)) / X.std(0)
    refits = []
    for alpha in ALPHAS:
        total = 0.0
        for unit in np.unique(units):
            out = units == unit
            left = Ridge(alpha * 24).fit(X[~out], Y[~out])
            total += ((Y[out] - left.predict(X[out])) ** 2).sum()
        refits.append(total / Y.size)

    left, squares = _left_vectors(X)
    projected, around = left.T @ (Y - Y.mean(0)), Y - Y.mean(0)
    shrinks = squares / (squares + ALPHAS[:, None] * 24)
    groups = _by_size(units)
    by_group = [_left_out_groups(left, one, projected, around, groups) for one in shrinks]
    assert np.allclose(by_group, refits)
    if len(np.unique(units)) == 24:
        assert np.allclose(_left_out_rows(left, shrinks, projected, around), refits)
        assert fit_ridge(X, Y, ALPHAS).alpha == ALPHAS[np.argmin(refits)]
    assert fit_ridge(X, Y, ALPHAS, units).alpha == ALPHAS[np.argmin(refits)]


def test_a_column_that_never_varies_says_nothing():
    X = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    # What is not exactly constant in float32 is rounding.
    noise = np.where(np.arange(30) % 2, 1e4, np.nextafter(np.float32(1e4), np.float32(2e4)))
    padded = np.column_stack([X, np.full(30, 7, np.float32), noise.astype(np.float32)])
    assert center_and_spread(padded)[1][2:].tolist() == [np.inf, np.inf]
    y = X[:, :1] - 2.0 * X[:, 1:]
    model = fit_ridge(padded, y.astype(np.float64), np.array([1e-6]))
    assert model.coef[0].round(3).tolist() == [1, -2, 0, 0]
