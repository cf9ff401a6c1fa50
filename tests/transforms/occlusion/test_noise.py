"""Noise is what refits on other rows would show, and rings as seldom as it says."""

import numpy as np
import pytest

from deepfeast.transforms.occlusion.noise import Noise
from deepfeast.transforms.probe import LinearProbe


def learned(random, signal, groups=None, rows=200, dim=16):
    X = random.normal(size=(rows, dim))
    luck = random.normal(size=rows)
    if groups is not None:
        X += random.normal(size=(groups.max() + 1, dim))[groups]
        luck += random.normal(size=groups.max() + 1)[groups]
    probe, y = LinearProbe(), signal * X[:, 0] + luck
    return probe, Noise.of(probe, X, y, probe.fit_transform(X, y, groups=groups), groups)


def ringing(signal, groups=None, draws=80):
    """Of each of twelve differences, how often its effect is beyond the noise; and of any."""
    random = np.random.default_rng(0)
    rang = []
    for _ in range(draws):
        probe, noise = learned(random, signal, groups)
        differences = random.normal(size=(12, 16))
        differences[0] = 3 * np.eye(16)[0]
        differences[1:, 0] = 0
        effects = differences @ probe.coef_[0]
        rang.append(np.abs(effects) > noise(differences, effects, 12))
    return np.mean(rang, axis=0), np.any(rang, axis=1).mean()


def test_where_nothing_is_to_be_learned_few_contents_have_a_part_beyond_the_noise():
    assert ringing(0.0)[1] <= 0.08
    assert ringing(0.0, groups=np.arange(200) // 5)[1] <= 0.08


def test_what_has_an_effect_is_beyond_the_noise_and_what_has_none_seldom():
    each, _ = ringing(0.5)
    assert each[0] > 0.95
    assert each[1:].mean() < 0.03


def test_it_is_as_wide_as_refits_on_other_rows_are():
    random, part = np.random.default_rng(1), 2 * np.eye(16)[:1]
    found = []
    for _ in range(60):
        probe, noise = learned(random, 1.0)
        effect = part @ probe.coef_[0]
        found.append((effect[0], noise(part, effect, 1)[0]))
    effects, noises = np.transpose(found)
    assert np.mean(noises) / 1.97 == pytest.approx(effects.std(), rel=0.25)


def test_of_a_logarithm_it_is_in_the_unit_of_the_effects():
    probe, noise = learned(np.random.default_rng(2), 1.0)
    part = np.eye(16)[:2]
    linear = part @ probe.coef_[0]
    assert noise(part, 7 * linear, 2) == pytest.approx(7 * noise(part, linear, 2))
    assert noise(part, linear, 40)[0] > noise(part, linear, 2)[0]


@pytest.mark.parametrize("kinds", [["no", "yes"], ["a", "b", "c"]])
def test_of_classes_it_is_of_the_score_of_one(kinds):
    random = np.random.default_rng(3)
    X = random.normal(size=(90, 4))
    y = np.array(kinds)[np.digitize(X[:, 0], [0, 1][: len(kinds) - 1])]
    probe = LinearProbe()
    held_out = probe.fit_transform(X, y)
    output = held_out.shape[1] - 1
    noise = Noise.of(probe, X, y, held_out, output=output)
    # Errors of the right class, around a score of -1 or 1: the fit knows much of it.
    assert 0.1 < np.mean(noise.errors**2) < 0.9


def test_two_groups_say_nothing():
    groups = np.arange(200) % 2
    probe, noise = learned(np.random.default_rng(0), 1.0, groups)
    part = np.eye(16)
    assert noise(part, part @ probe.coef_[0], 16).min() > np.abs(probe.coef_).max()
