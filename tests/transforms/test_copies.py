import numpy as np
import pytest

from deepfeast.transforms import copies
from deepfeast.transforms.copies import connected, estimated, numbered, of_encoder
from deepfeast.transforms.features import DeepFeature
from deepfeast.transforms.nearest import to_units


def at(*degrees):
    """Return unit vectors in the plane."""
    angles = np.radians(np.array(degrees, np.float64))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_rows_hang_together_through_others_and_are_as_near_as_their_nearest():
    labels, nearest = connected(at(0, 10, 90, 15, 200), np.cos(np.radians(11)))
    assert numbered(labels)[0].tolist() == [0, 0, 1, 0, 2]
    assert nearest == pytest.approx(
        [*np.cos(np.radians([10, 5])), np.nan, np.cos(np.radians(5)), np.nan], nan_ok=True, abs=1e-6
    )


def test_groups_are_the_same_however_few_pairs_are_held(monkeypatch):
    random = np.random.default_rng(0)
    units, _ = to_units(random.standard_normal((60, 3)).astype(np.float32).repeat(50, axis=0))
    labels, nearest = connected(units, 0.99)
    monkeypatch.setattr(copies, "PAIRS", 1)
    again, _ = connected(units, 0.99)
    assert numbered(labels)[0].tolist() == numbered(again)[0].tolist()
    assert len(set(labels[::50])) == len(set(labels)) > 1
    assert nearest.min() == pytest.approx(1, abs=1e-6)


def test_a_threshold_belongs_to_an_encoder_as_it_is():
    def of(encoder, reduce=None):
        return of_encoder(DeepFeature("vec", column="x", encoder=encoder, reduce=reduce))

    assert of("minilm")[0] == of("text-tiny")[0] == 0.95
    assert of("image-tiny")[0] == 0.97
    assert of("minilm", "pca:8") is of("tfidf:64") is None


def test_an_estimate_knows_what_is_usual_and_leaves_copies_aside():
    every = np.arange(0, 360, 30)
    threshold, reason = estimated(at(*every, *every[:3]))
    assert threshold == pytest.approx(1 - (1 - np.cos(np.radians(30))) / 5, abs=1e-4)
    assert "usually at 0.866, and a copy is 5 times nearer" in reason
    threshold, reason = estimated(at(*every, *every))
    assert threshold == 0.999
    assert "have an equal one" in reason
    assert estimated(at(0, 180))[0] == 0.8
