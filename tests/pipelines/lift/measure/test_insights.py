"""What lies behind a lift: how it grows with rows, and which features carry it."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift.ask.arms import Arm
from deepfeast.pipelines.lift.measure.comparison import Outcome
from deepfeast.pipelines.lift.measure.insights import importances, insight_arm, learning_curve
from deepfeast.pipelines.lift.measure.work import Work

VEC = [f"vec_{position:03d}" for position in range(6)]
FAST = {"ridge": Ridge(1.0)}


@pytest.fixture
def measured(shop, ask):
    """Return a comparison of one round of five folds, with a column of noise beside the size."""
    shop["dust"] = np.random.default_rng(1).normal(size=200)
    options = {"repeats": 1, "most_repeats": 1, "control": False, "alone": False}

    def measured(**more):
        return ask(shop, handcrafted=["size", "dust"], **options, **more)

    return measured


def test_the_arm_to_look_behind_is_chosen_by_its_form(by_hand):
    comparison = by_hand(range(40), range(40), range(40))

    def arms(*shapes):
        comparison.outcomes = [
            Outcome(
                "old", Arm("+ some", "deep", features, how), np.full(2, score), 0, 0, np.ones(40)
            )
            for features, how, score in shapes
        ]
        return insight_arm(comparison)

    chosen = arms((("a",), "columns", 0.9), (("a", "b"), "raw", 0.9), (("a", "b"), "probe", 0.1))
    assert (chosen.features, chosen.how) == (("a", "b"), "probe")
    assert arms((("a",), "raw", 0.9), (("a",), "pca", 0.1)).how == "pca"
    comparison.outcomes = []
    assert insight_arm(comparison) is None
    assert learning_curve(comparison, FAST, work=Work()) == []
    assert importances(comparison, FAST, work=Work()) == []


def test_the_curve_grows_with_the_rows_and_ends_in_what_was_measured(measured):
    comparison = measured()
    curve = learning_curve(comparison, FAST, (0.15, 0.5), work=Work())
    assert [point.rows for point in curve] == [24, 80, 160]
    assert curve[0].score < curve[1].score < curve[2].score
    outcome = comparison.outcome("ridge", "+ vec (probe)")
    assert curve[-1].score == pytest.approx(outcome.score)
    assert curve[-1].baseline == pytest.approx(comparison.before(outcome))
    assert curve[-1].lift.mean == pytest.approx(outcome.lift.mean)
    assert learning_curve(comparison, FAST, (0.15, 0.5), work=Work()) == curve


def test_fewer_than_twenty_rows_are_no_point_and_no_work(measured):
    seen = []
    work = Work(lambda what, done, total: seen.append(done))
    work.plan("learning curve", 2 * 5)
    curve = learning_curve(measured(), FAST, (0.1, 0.2), work=work)
    assert [point.rows for point in curve] == [32, 160]
    assert len(seen) == 5
    assert seen[-1] == 1000


class Hungry(Ridge):
    """A model that needs 50 rows."""

    def fit(self, X, y):
        if len(X) < 50:
            raise RuntimeError(f"{len(X)} rows are too few for me")
        return super().fit(X, y)


def test_the_curve_of_a_model_begins_where_it_can_be_fitted(measured):
    models = {"hungry": Hungry(), **FAST}
    curve = learning_curve(measured(models=models), models, (0.15, 0.5), work=Work())
    assert [(point.model, point.rows) for point in curve] == [
        ("hungry", 80),
        ("hungry", 160),
        ("ridge", 24),
        ("ridge", 80),
        ("ridge", 160),
    ]


def test_a_model_that_takes_no_nan_is_looked_behind_as_it_was_compared(shop, measured):
    shop.loc[::7, VEC] = np.nan
    comparison = measured(representations=("raw",))
    assert not comparison.outcome("ridge", "+ vec (raw)").failed
    curve = learning_curve(comparison, FAST, (0.15, 0.5), work=Work())
    assert [point.rows for point in curve] == [24, 80, 160]
    found = importances(comparison, FAST, work=Work())
    assert [one.feature for one in found] == ["vec", "size", "dust"]
    # With all rows a point is what was measured.
    whole = learning_curve(comparison, FAST, (1.0,), work=Work())
    assert whole[0].score == pytest.approx(whole[1].score)


def test_an_embedding_counts_as_one_feature_and_the_strongest_comes_first(measured):
    found = importances(measured(representations=("raw",)), FAST, work=Work())
    assert [(one.feature, one.deep) for one in found] == [
        ("vec", True),
        ("size", False),
        ("dust", False),
    ]
    vec, size, dust = (one.drop for one in found)
    assert vec > size > 0.1  # six parts of the price, one of it, and none
    assert abs(dust) < 0.02
    assert all(one.spread > 0 for one in found)


def test_a_model_that_fails_behind_the_scenes_takes_no_other_with_it(measured):
    class Broken(Ridge):
        def fit(self, X, y):
            raise RuntimeError("no licence")

    seen = []
    work = Work(lambda what, done, total: seen.append(done))
    work.plan("importance", 2 * 5)
    found = importances(measured(), {"broken": Broken(), **FAST}, work=work)
    assert {one.model for one in found} == {"ridge"}
    assert seen[-1] == 1000
