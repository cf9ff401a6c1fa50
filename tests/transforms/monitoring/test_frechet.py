"""The distance against its formula, and its expansion against the distance."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from deepfeast.transforms.monitoring.frechet import Axes, distance


def by_formula(one, other):
    left, right = np.cov(one.T, ddof=0), np.cov(other.T, ddof=0)
    apart = one.mean(axis=0) - other.mean(axis=0)
    return np.sqrt(apart @ apart + np.trace(left + right - 2 * sqrtm(left @ right).real))


def clouds(change):
    random = np.random.default_rng(0)
    one = random.normal(size=(3000, 5)) * [3, 2, 1, 1, 0.5]
    other = random.normal(size=(2000, 5)) * [3, 2, 1, 1, 0.5]
    return one, other * (1 + change) + change


def test_it_is_the_distance_of_the_formula():
    one, other = clouds(0.7)
    assert distance(one, other) == pytest.approx(by_formula(one, other), rel=1e-6)
    assert distance(one, one) == pytest.approx(0, abs=1e-6)


def test_differences_of_moments_are_the_distance_where_it_is_small():
    one, other = clouds(0.1)
    rows = np.concatenate([one, other]).astype(np.float32)
    axes = Axes.of(rows)
    moments = axes.moments(axes.place(rows))
    apart = moments[:3000].mean(axis=0) - moments[3000:].mean(axis=0)
    assert np.linalg.norm(apart) == pytest.approx(distance(one, other), rel=0.05)


def test_axes_along_which_nothing_differs_are_left_out():
    random = np.random.default_rng(0)
    flat = random.normal(size=(100, 2)) @ random.normal(size=(2, 8)) + 5
    axes = Axes.of(flat.astype(np.float32))
    assert len(axes.variances) == 2
    assert axes.total == pytest.approx(flat.var(axis=0).sum(), rel=1e-4)
    full = random.normal(size=(99, 8)).astype(np.float32)
    assert len(Axes.of(full, count=3).variances) == 3
