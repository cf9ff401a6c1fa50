"""Every model on every arm and split, and what is done where one cannot be fitted."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift import compare
from deepfeast.pipelines.lift.ask.arms import Arm
from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.measure.bench import run_arms

VEC = [f"vec_{position:03d}" for position in range(6)]
NOISE = [f"noise_{position:03d}" for position in range(6)]
FAST = {"ridge": Ridge(1.0)}
ARMS = [Arm("handcrafted", "baseline"), Arm("+ vec", "deep", ("vec",), "raw")]


def ask(frame, target="price", groups=None, features=None, **options):
    settings = {"models": FAST, "handcrafted": ["size"], "representations": ("probe",)}
    settings |= {"repeats": 2, "most_repeats": 2, **options}
    return compare(frame, target, groups, feature_groups=features or {"vec": VEC}, **settings)


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


def test_what_the_users_own_columns_lack_is_not_filled(shop):
    shop.loc[150, "size"] = np.nan
    comparison = ask(shop, representations=("raw",), control=False, alone=False)
    assert "NaN" in comparison.outcome("ridge", "+ vec (raw)").failed
    assert comparison.notes == []
