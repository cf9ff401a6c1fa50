"""Every model on every arm and split, and what is done where one cannot be fitted."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift import compare
from deepfeast.pipelines.lift.ask.arms import Arm
from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.measure.bench import PREVIEW, run_arms
from deepfeast.pipelines.lift.measure.comparison import LINEAR

NOISE = [f"noise_{position:03d}" for position in range(6)]
VEC = [f"vec_{position:03d}" for position in range(6)]
FAST = {"ridge": Ridge(1.0)}
ARMS = [Arm("handcrafted", "baseline"), Arm("+ vec", "deep", ("vec",), "raw")]


@pytest.mark.parametrize("where", ["learned", "tested", "both"])
def test_a_model_that_takes_no_nan_gets_the_mean_whichever_rows_lack_a_vector(shop, where):
    rows = np.arange(200)
    first = rows[:100], rows[100:]
    splits = [first, first] if where != "both" else [first, first[::-1]]
    lacking = [3, 150] if where == "both" else [3 if where == "learned" else 150]
    shop.loc[lacking, VEC] = np.nan
    question = Question("price", handcrafted=["size"], repeats=1, most_repeats=1)
    problem = read_problem(shop, question, {"vec": VEC})
    comparison = run_arms(problem, ARMS, [splits], question, FAST)
    outcome = comparison.outcome("ridge", "+ vec (raw)")
    assert outcome.failed == ""
    assert np.isfinite(outcome.scores).all()
    assert np.isfinite(outcome.predictions[100:]).all()
    assert comparison.notes == [
        "ridge takes no NaN: rows without a vector got the mean of the training rows."
    ]


def test_what_the_users_own_columns_lack_is_not_filled(shop, ask):
    shop.loc[150, "size"] = np.nan
    comparison = ask(shop, representations=("raw",), control=False, alone=False)
    assert "NaN" in comparison.outcome("ridge", "+ vec (raw)").failed
    assert comparison.notes == []


def test_the_embedding_alone_is_scored_by_a_linear_model(shop, ask):
    alone = ask(shop).outcome(LINEAR, "vec alone (probe)")
    assert 0.5 < alone.score < 0.9
    assert alone.lift is None


class Fragile(RegressorMixin, BaseEstimator):
    """A model that cannot take more than 4 columns."""

    def fit(self, X, y):
        if X.shape[1] > 4:
            raise RuntimeError(f"I was built for 4 columns, not {X.shape[1]}")
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_) + X["size"].to_numpy()


def test_a_model_that_raises_fails_its_arm_and_no_other(shop, ask):
    models = {"fragile": Fragile(), **FAST}
    comparison = ask(shop, models=models, representations=("raw", "probe"))
    assert comparison.outcome("fragile", "+ vec (raw)").failed.endswith("4 columns, not 7")
    assert not comparison.outcome("fragile", "+ vec (probe)").failed
    assert comparison.outcome("ridge", "+ vec (raw)").verdict == "helps"


def test_splits_are_drawn_until_it_is_clear_and_no_further(shop, ask):
    comparison = ask(shop, features=("vec", "noise"), repeats=2, most_repeats=6)
    count = {o.arm.label: len(o.scores) for o in comparison.outcomes}
    assert count["+ vec (probe)"] == 10  # clear at the first look that may settle
    assert count["+ noise (probe)"] <= 10  # given up by then
    assert comparison.outcome("ridge", "+ vec (probe)").verdict == "helps"


def test_a_costly_arm_that_loses_at_once_gets_no_more_splits(shop):
    wide = np.random.default_rng(3).normal(size=(200, 90))  # as many numbers as rows: it must lose
    shop = pd.concat([shop.drop(columns=NOISE), pd.DataFrame(wide).add_prefix("noise_")], axis=1)
    comparison = compare(
        shop,
        "price",
        "seller",
        feature_groups={"vec": VEC, "noise": [f"noise_{number}" for number in range(90)]},
        handcrafted=["size"],
        models={"ridge": Ridge()},
        representations=("probe", "raw"),
        alone=False,
        most_repeats=2,
    )
    count = {one.arm.label: len(one.scores) for one in comparison.outcomes}
    assert count["+ noise (raw)"] == PREVIEW < count["+ noise (probe)"]
    assert count["+ vec (raw)"] > PREVIEW
    assert comparison.outcome("ridge", "+ noise (raw)").verdict == "no evidence"
