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
    holm,
    simultaneous_reach,
    verdict_of,
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
    assert verdict_of(lift, lift.p) == "no evidence"


def test_one_split_is_refused():
    with pytest.raises(ValueError, match="at least 2 splits, got 1"):
        corrected_lift([0.1], test_share=0.25)


def test_holm_multiplies_the_smallest_by_all_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_weights_spend_more_on_the_main_question():
    # The main question may spend 80 % of the error: 0.03 is below 0.8 * 0.05 only for it.
    assert holm([0.03, 0.5], weights=[0.8, 0.2])[0] == pytest.approx(0.0375)
    assert holm([0.5, 0.03], weights=[0.8, 0.2])[1] == pytest.approx(0.15)


def test_weighted_holm_keeps_the_family_wise_error():
    draws = np.random.default_rng(0).uniform(size=(4000, 3))
    weights = [0.8, 0.1, 0.1]
    wrong = np.mean([min(holm(list(p), weights)) < 0.05 for p in draws])
    assert wrong < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_the_verdict_needs_the_corrected_p():
    gain = corrected_lift([0.1, 0.12, 0.11, 0.13], test_share=0.25)
    assert verdict_of(gain, 0.01) == "helps"
    assert verdict_of(gain, 0.2) == "no evidence"
    assert verdict_of(corrected_lift([-0.1, -0.12, -0.11], 0.25), 0.01) == "hurts"


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


def verdicts(seed, strength, repeats):
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
        seed=seed,
        n_jobs=1,
    )
    return [outcome.verdict for outcome in comparison.outcomes if outcome.verdict]


def test_noise_gets_no_evidence():
    clean = sum(
        set(verdicts(seed, strength=0.0, repeats=1)) == {"no evidence"} for seed in range(100)
    )
    assert clean >= 95


def test_a_known_lift_is_found():
    found = sum("helps" in verdicts(seed, strength=1.0, repeats=2) for seed in range(20))
    assert found >= 19
