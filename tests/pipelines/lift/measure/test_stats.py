"""The statistics of lift: values by hand, and what they do on data whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift import compare
from deepfeast.pipelines.lift.measure.stats import (
    corrected_lift,
    detectable,
    simultaneous_reach,
)


def test_the_interval_is_widened_by_the_overlap():
    lift = corrected_lift([1.0, 2.0, 3.0], test_share=0.25)
    assert lift.mean == 2.0
    assert lift.error == pytest.approx(np.sqrt((1 / 3 + 0.25) * 1.0))
    assert lift.high - lift.mean == pytest.approx(4.3027 * lift.error, rel=1e-4)  # t, 2 degrees
    assert (lift.wins, lift.splits) == (3, 3)


def test_without_overlap_it_is_the_plain_t_test():
    values = [0.3, -0.1, 0.4, 0.2]
    assert corrected_lift(values, test_share=0.0).p == pytest.approx(ttest_1samp(values, 0).pvalue)


def test_arms_that_never_differ_are_no_evidence():
    lift = corrected_lift([0.0, 0.0, 0.0], test_share=0.25)
    assert (lift.p, lift.low, lift.high) == (1.0, 0.0, 0.0)


def test_one_split_is_refused():
    with pytest.raises(ValueError, match="at least 2 splits, got 1"):
        corrected_lift([0.1], test_share=0.25)


def test_less_error_to_spend_means_a_larger_lift_is_needed():
    lift = corrected_lift([0.1, 0.3, 0.2, 0.2], test_share=0.25)
    assert detectable(lift, 0.005) > detectable(lift, 0.05) > lift.high - lift.mean
    assert simultaneous_reach(lift, 0.05) == pytest.approx(lift.high - lift.mean)


def market(seed, strength, rows=150, dim=8):
    """Return rows whose target hangs on two handcrafted columns and, by `strength`, on vectors."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(rows, dim))
    columns = [f"vec_{position:03d}" for position in range(dim)]
    frame = pd.DataFrame(vectors, columns=columns)
    frame["size"], frame["age"] = random.normal(size=(2, rows))
    hidden = vectors @ np.full(dim, 1 / np.sqrt(dim))
    frame["price"] = frame["size"] - frame["age"] + strength * hidden + random.normal(size=rows)
    return frame, columns


def verdicts(seed, strength, repeats, most):
    frame, columns = market(seed, strength)
    comparison = compare(
        frame,
        "price",
        feature_groups={"vec": columns},
        models={"ridge": Ridge(10.0)},
        representations=("pca", "probe"),
        control=False,
        alone=False,
        repeats=repeats,
        most_repeats=most,
        seed=seed,
        n_jobs=1,
    )
    return [outcome.verdict for outcome in comparison.outcomes if outcome.verdict]


def test_noise_gets_no_evidence():
    clean = sum(
        "helps" not in verdicts(seed, strength=0.0, repeats=1, most=3) for seed in range(40)
    )
    assert clean >= 38


def test_a_known_lift_is_found():
    found = sum("helps" in verdicts(seed, strength=1.2, repeats=2, most=4) for seed in range(12))
    assert found >= 11
