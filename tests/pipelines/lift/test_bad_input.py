"""Bad input: one clear sentence each, and what can be answered is answered."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.measure.result import measure_lift
from deepfeast.transforms.errors import LiftError

PHOTO = [f"photo_{position:03d}" for position in range(4)]
TITLE = [f"title_{position:03d}" for position in range(4)]
RIDGE = {"ridge": Ridge()}


def shop(rows=60):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(rows, 8)), columns=[*PHOTO, *TITLE])
    frame["size"] = random.normal(size=rows)
    frame["price"] = frame["size"] + 2 * frame["photo_000"] + random.normal(size=rows) / 3
    return frame


FEATURES = {"photo": PHOTO, "title": TITLE}


def measure(frame, target="price", groups=None, models=RIDGE, folds=3, **options):
    question = Question(
        target,
        groups,
        handcrafted=["size"],
        representations=("pca", "probe"),
        repeats=1,
        most_repeats=1,
        folds=folds,
        **options,
    )
    return measure_lift(read_problem(frame, question, FEATURES), question, models)


def failed(result):
    return {o.arm.label: o.failed for o in result.comparison.outcomes if o.failed}


def notes(result):
    return [*result.comparison.problem.notes, *result.comparison.notes, *result.notes]


def test_a_fold_of_one_class_is_left_out():
    frame = shop().assign(kind="oak")
    frame.loc[:2, "kind"] = "elm"  # three elms, five folds
    result = measure(frame, "kind", models={"logit": LogisticRegression()}, folds=5)
    assert failed(result) == {}
    assert len(result.comparison.splits) == 3
    assert "all tested rows were of one class" in notes(result)[0]


def test_classes_too_rare_for_any_split_are_named_as_the_reason():
    frame = shop().assign(kind=np.arange(60) % 30)
    with pytest.raises(LiftError, match=r"the 30 classes are too rare .* is it a regression\?"):
        measure(frame, "kind", task="multiclass", models={"logit": LogisticRegression()})


def test_constant_features_bring_nothing_and_harm_nothing():
    frame = shop().assign(size=1.0, **dict.fromkeys(TITLE, 0.5))
    result = measure(frame)
    assert failed(result) == {}
    assert result.comparison.outcome("ridge", "+ title (pca)").lift.mean == pytest.approx(
        0, abs=1e-9
    )
    assert result.comparison.outcome("ridge", "+ photo (pca)").lift.mean > 0.5


def test_an_embedding_without_any_vector_is_left_out():
    result = measure(shop().assign(**dict.fromkeys(PHOTO, np.nan)))
    assert notes(result) == [
        "No row has a photo: it is left out. Was it embedded, before these times?"
    ]
    assert failed(result) == {}


def test_a_single_vector_fails_its_own_arms_alone():
    frame = shop()
    frame.loc[1:, PHOTO] = np.nan
    result = measure(frame)
    assert "LinearProbe needs at least 2 rows with a vector" in failed(result)["+ photo (probe)"]
    assert not result.comparison.outcome("ridge", "handcrafted").failed
    assert result.comparison.outcome("ridge", "+ title (probe)").lift is not None


def test_no_vector_at_all_leaves_no_question():
    with pytest.raises(LiftError, match="no row has a vector of photo, title"):
        measure(shop().assign(**dict.fromkeys([*PHOTO, *TITLE], np.nan)))


def test_fewer_rows_than_folds_make_fewer_folds():
    result = measure(shop(35), folds=40)
    assert notes(result) == ["7 folds, not 40: 35 rows make no more with 5 rows to test in each."]
    assert len(result.comparison.splits) == 7
    assert failed(result) == {}


def test_fewer_rows_than_windows_make_fewer_windows():
    frame = shop(36).assign(sold=pd.date_range("2024-01-01", periods=36))
    result = measure(frame, folds=20, time="sold")
    assert notes(result)[0].startswith("4 windows, not 20")
    assert len(result.comparison.splits) == 4


def test_fewer_groups_than_folds_make_fewer_folds():
    frame = shop(35).assign(seller=np.arange(35) // 12)
    result = measure(frame, groups="seller", folds=5)
    assert len(result.comparison.splits) == 3
    assert notes(result)[0].startswith("3 folds, not 5: 35 rows of 3 groups")


def test_one_group_leaves_nothing_to_test():
    with pytest.raises(LiftError, match="all rows are of one group"):
        measure(shop().assign(seller=1), groups="seller")


def test_one_moment_leaves_nothing_to_look_forward_to():
    with pytest.raises(LiftError, match="fewer than three different times"):
        measure(shop().assign(sold=pd.Timestamp("2024-01-01")), time="sold")


@pytest.mark.parametrize("log_target", [False, True])
def test_infinite_targets_are_left_out(log_target):
    frame = shop()
    frame["price"] = np.exp(frame["price"])
    frame.loc[[3, 7], "price"] = np.inf
    result = measure(frame, log_target=log_target)
    assert notes(result)[0] == "Left out, for an infinite price: 2 of the rows."
    assert len(result.comparison.problem.y) == 58
    assert failed(result) == {}


class OnlySize(Ridge):
    """A model that picks its columns by name."""

    def fit(self, X, y):
        return super().fit(X[["size"]], y)

    def predict(self, X):
        return super().predict(X[["size"]])


def test_a_model_that_ignores_columns_is_said_to():
    result = measure(shop(), models={"old": OnlySize(), "ridge": Ridge()})
    assert [alarm.text[:45] for alarm in result.alarms] == [
        "old scores exactly the same with and without "
    ]
    assert result.comparison.outcome("ridge", "+ photo (probe)").lift.mean > 0.5


def test_without_handcrafted_columns_the_baseline_predicts_by_nothing(shop, ask):
    from xgboost import XGBRegressor

    models = {"xgboost": XGBRegressor(n_estimators=20, max_depth=3, n_jobs=1)}
    found = ask(shop, handcrafted=[], models=models)
    baseline = found.baseline("xgboost")
    assert not baseline.failed
    assert np.abs(baseline.scores).max() < 0.2  # R² of the mean
    assert found.outcome("xgboost", "+ vec (probe)").verdict == "helps"
    assert any("predicts by nothing" in note for note in found.problem.notes)
