import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift import compare
from deepfeast.pipelines.lift.tell.gate import shortfall


def test_what_helps_passes(prices):
    assert shortfall(prices.comparison) == ""
    assert shortfall(prices.comparison, 0.05) == ""


def test_a_gain_that_is_too_small_is_told_with_its_size(prices):
    told = shortfall(prices.comparison, 5)
    assert told.startswith("required: a gain of 5 in R²")
    assert "for old model, which is the largest" in told


def test_what_does_not_help_is_told_with_the_verdict():
    draw = np.random.default_rng(1)
    frame = pd.DataFrame(draw.normal(size=(60, 3)), columns=["size", "vec_0", "vec_1"])
    frame["price"] = frame["size"] + draw.normal(size=60) / 10
    noise = compare(
        frame,
        "price",
        feature_groups={"vec": ["vec_0", "vec_1"]},
        models={"ridge": Ridge()},
        representations=("raw",),
        most_repeats=2,
    )
    assert shortfall(noise).startswith("required: helps. No evidence that deep")
