"""Rows that moved, taken apart: a title's first word holds all there is to see."""

import numpy as np
import pandas as pd
import pytest

from deepfeast.pipelines.lift.ask.problem import Problem
from deepfeast.pipelines.lift.measure.moved import Moved, MovedRow
from deepfeast.pipelines.lift.measure.responses import find_responses
from deepfeast.transforms.errors import EncoderError
from deepfeast.transforms.testing import WordLengths

QUICK = {"vec": 1.0}  # a millisecond a value


@pytest.fixture
def shop():
    """Forty titles whose second word makes the price, or the kind."""
    random = np.random.default_rng(0)
    texts = [" ".join("x" * n for n in random.integers(1, 9, 4)) for _ in range(40)]
    vectors = WordLengths(4).encode(texts)
    frame = pd.DataFrame(vectors, columns=[f"vec_{number:03d}" for number in range(4)])

    def problem(y, **about):
        columns = {"vec": list(frame.columns)}
        known = {"target": "price", "task": "regression", "metric": "r2", "handcrafted": []}
        return Problem(frame=frame, y=y, deep=columns, rows=np.arange(40), **known | about)

    moved = Moved("old", 4, 1, 1, [MovedRow(row, 0, 0, 0, True) for row in (5, 8, 9)])
    return problem, vectors, [moved], {("vec", row): texts[row] for row in range(40)}


def test_effects_are_in_the_targets_unit_and_two_rows_a_feature_are_looked_at(shop):
    problem, vectors, moved, contents = shop
    logged = problem(np.log(100 + 10 * vectors[:, 0]), logged=True)
    found = find_responses(logged, moved, ["vec"], contents, lambda _: WordLengths(4), QUICK)
    assert [(one.feature, one.row, one.unit) for one in found] == [
        ("vec", 5, "price"),
        ("vec", 8, "price"),
    ]
    first = found[0]
    assert first.prediction == pytest.approx(100 + 10 * vectors[5, 0], rel=0.05)
    # Without its first word a title begins with its second one.
    lost = 10 * (vectors[5, 0] - vectors[5, 1])
    assert first.parts[0].effect == pytest.approx(lost, abs=6)
    assert first.parts[3].effect == pytest.approx(0, abs=3)
    assert not first.parts[0].luck


@pytest.mark.parametrize(
    ("codes", "unit"),
    [(lambda v: (v > 4).astype(int), "score of dear"), (lambda v: v.astype(int) % 3, "score of ")],
)
def test_of_classes_it_is_the_score_of_the_true_one(shop, codes, unit):
    problem, vectors, moved, contents = shop
    y = codes(vectors[:, 0])
    kinds = problem(y, task="multiclass", classes=["cheap", "dear", "rare"][: y.max() + 1])
    found = find_responses(kinds, moved, ["vec"], contents, lambda _: WordLengths(4), QUICK)
    assert len(found) == 2
    assert found[0].unit.startswith(unit)


@pytest.mark.parametrize("seconds", [{}, {"vec": 1e6}])
def test_what_would_take_too_long_is_not_done(shop, seconds):
    problem, vectors, moved, contents = shop
    encoder = WordLengths(4)
    asked = problem(vectors[:, 0])
    assert find_responses(asked, moved, ["vec"], contents, lambda _: encoder, seconds) == []
    assert encoder.encoded == 0


def test_an_encoder_that_cannot_be_had_leaves_the_report(shop):
    problem, vectors, moved, contents = shop

    def missing(feature):
        raise EncoderError("not that of the table")

    assert find_responses(problem(vectors[:, 0]), moved, ["vec"], contents, missing, QUICK) == []
    assert find_responses(problem(vectors[:, 0]), moved, ["vec"], {}, missing, QUICK) == []
