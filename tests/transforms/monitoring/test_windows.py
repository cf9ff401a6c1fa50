"""Windows in which one thing has changed, and windows in which nothing has."""

import numpy as np
import pytest

from deepfeast.transforms.monitoring.windows import bonferroni, compare_shares, compare_vectors

ROWS = np.arange(400)
RECENT = ROWS >= 300


def vectors(seed=0):
    spread = 1 / np.sqrt(1 + np.arange(16))
    return (np.random.default_rng(seed).normal(size=(400, 16)) * spread).astype(np.float32)


def by_question(changes):
    return {change.question: change for change in changes}


def test_vectors_that_moved_lie_elsewhere_and_are_no_novelty():
    moved = vectors()
    moved[RECENT, 0] += 0.6
    found = by_question(compare_vectors(moved, ROWS, RECENT)[0])
    assert found["place"].p < 0.01 < found["novelty"].p
    # Of vectors whose spread is about 1.8.
    assert found["place"].now == pytest.approx(0.6 / 1.8, abs=0.12)
    assert found["place"].reached(0.05) < found["place"].now


def test_a_few_rows_unlike_any_before_are_a_novelty():
    strange = vectors()
    strange[390:] = 2 + vectors(1)[:10]
    changes, distances = compare_vectors(strange, ROWS, RECENT)
    found = by_question(changes)
    assert found["novelty"].p < 0.01
    assert (found["novelty"].before, found["novelty"].now) == (0.05, pytest.approx(0.14, abs=0.05))
    assert set(np.argsort(-distances)[:10]) == set(range(390, 400))


def test_a_prediction_moves_with_its_vectors_alone():
    moved = vectors()
    moved[RECENT, 3] += 0.3
    for column, there in ((3, True), (7, False)):
        output = moved[:, [column]].astype(np.float64)
        found = by_question(compare_vectors(moved, ROWS, RECENT, output)[0])["prediction"]
        assert (found.p < 0.01) == there
    assert found.now < 0.3
    constant = compare_vectors(moved, ROWS, RECENT, np.ones((400, 1)))[0]
    assert [change.question for change in constant] == ["place", "novelty"]


def test_a_reference_of_one_group_knows_no_novelty():
    groups = np.where(RECENT, ROWS, 0)
    changes, _ = compare_vectors(vectors(), np.unique(groups, return_inverse=True)[1], RECENT)
    assert [change.question for change in changes] == ["place"]


@pytest.mark.parametrize("kind", ["rows", "clusters"])
def test_two_questions_together_ring_as_often_as_they_say(kind):
    alarms = []
    groups = ROWS if kind == "rows" else ROWS // 10
    for seed in range(60):
        drawn = vectors(seed) + (0 if kind == "rows" else vectors(seed + 1000)[groups])
        changes, _ = compare_vectors(drawn, groups, RECENT, draws=199)
        alarms.append(min(bonferroni(changes)) <= 0.05)
    assert np.mean(alarms) <= 0.12


def test_more_are_missing():
    missing = ROWS % 25 == 0
    assert compare_shares("missing", missing, ROWS, RECENT).p > 0.5
    found = compare_shares("missing", missing | (RECENT & (ROWS % 8 == 0)), ROWS, RECENT)
    assert found.p < 0.01
    assert (found.before, found.now) == (0.04, pytest.approx(0.16, abs=0.02))
    assert compare_shares("missing", np.zeros(400, bool), ROWS, RECENT) is None


def test_all_that_one_seller_left_out_is_one_event():
    seller = ROWS // 25
    found = compare_shares("missing", seller == 15, seller, RECENT)
    assert (found.before, found.now) == (0, 0.25)
    assert found.p > 0.1
