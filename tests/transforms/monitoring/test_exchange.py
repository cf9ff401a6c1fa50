"""Is it luck? Few groups can be enumerated, and many windows be drawn in which nothing changed."""

from itertools import combinations

import numpy as np
import pytest

from deepfeast.transforms.monitoring.exchange import exchange


def exact(column, groups, recent):
    """Try every way to choose the recent groups, all being of one size and of one window."""
    means = np.array([column[groups == one].mean() for one in np.unique(groups)])
    chosen = [recent[groups == one][0] for one in np.unique(groups)]
    seen = abs(means[chosen].mean() - means[~np.array(chosen)].mean())
    ways = []
    for some in combinations(range(len(means)), sum(chosen)):
        inside = np.isin(np.arange(len(means)), some)
        ways.append(abs(means[inside].mean() - means[~inside].mean()))
    return np.mean(np.array(ways) >= seen - 1e-6)


@pytest.mark.parametrize("size", [1, 4])
def test_p_is_that_of_all_ways_to_choose_the_recent_groups(size):
    random = np.random.default_rng(3)
    groups = np.repeat(np.arange(9), size)
    recent = groups >= 6
    column = (random.normal(size=len(groups)) + 0.9 * recent).astype(np.float32)[:, None]
    found = exchange(column, groups, recent, draws=4000)
    assert found.p() == pytest.approx(exact(column[:, 0], groups, recent), abs=0.02)
    assert found.seen[0] == pytest.approx(column[recent].mean() - column[~recent].mean(), abs=1e-5)
    assert found.finest == pytest.approx(1 / 84)


def test_a_group_of_both_windows_is_compared_with_itself():
    groups = np.arange(12) % 6
    recent = np.arange(12) >= 6
    # Sellers differ by far more than the windows do, and each has risen by about one.
    column = 100.0 * groups + recent * np.array([1, 1.1, 0.9, 1.2, 0.8, 1])[groups]
    found = exchange(column[:, None].astype(np.float32), groups, recent, draws=4000)
    assert found.p() == pytest.approx(2 / 2**6, abs=0.01)
    assert found.finest == 1 / 2**5


def test_the_direction_can_be_asked_for():
    recent = np.arange(40) >= 30
    column = (1.0 * recent + np.arange(40) % 3 / 10).astype(np.float32)[:, None]
    assert exchange(column, np.arange(40), recent).p(above=True) < 0.01
    assert exchange(-column, np.arange(40), recent).p(above=True) > 0.99


def windows(kind, seed):
    """Draw two windows in which nothing has changed."""
    random = np.random.default_rng(seed)
    if kind == "clusters":
        groups = np.repeat(np.arange(33), 10)
        return random.normal(size=(33, 3))[groups], groups, groups >= 25
    if kind == "longer before":
        sizes = np.concatenate([1 + random.poisson(9, 40), 1 + random.poisson(1, 60)])
        groups = np.repeat(np.arange(100), sizes)
        return np.zeros((len(groups), 3)), groups, groups >= 40
    # Sellers of both windows, whose rows come in batches.
    batches = np.repeat(np.arange(90), 5)
    seller = random.integers(0, 25, 90)[batches]
    part = random.normal(size=(25, 3))[seller] + random.normal(size=(90, 3))[batches]
    return part, seller, batches >= 65


@pytest.mark.parametrize("kind", ["clusters", "longer before", "batches"])
def test_where_nothing_changed_an_alarm_is_rare(kind):
    alarms = []
    for seed in range(150):
        part, groups, recent = windows(kind, seed)
        noise = np.random.default_rng(1000 + seed).normal(size=part.shape)
        columns = (part + 0.5 * noise).astype(np.float32)
        codes = np.unique(groups, return_inverse=True)[1]
        alarms.append(exchange(columns, codes, recent, draws=99).p() <= 0.05)
    assert np.mean(alarms) <= 0.1


def test_rows_taken_for_independent_ring_at_nearly_every_window():
    alarms = []
    for seed in range(20):
        part, groups, recent = windows("clusters", seed)
        rows = np.arange(len(groups))
        alarms.append(exchange(part.astype(np.float32), rows, recent, draws=99).p() <= 0.05)
    assert np.mean(alarms) > 0.5
