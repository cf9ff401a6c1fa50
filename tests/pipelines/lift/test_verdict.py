"""What the verdict as a whole must hold to, on a table whose truth is known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from deepfeast.pipelines.lift.tell.words import findings, headline

VEC = [f"vec_{position:03d}" for position in range(6)]
NOISE = [f"noise_{position:03d}" for position in range(6)]


def test_a_useful_feature_helps_and_noise_does_not(shop, ask):
    comparison = ask(shop, features=("vec", "noise"))
    assert comparison.outcome("ridge", "+ vec (probe)").verdict == "helps"
    assert comparison.outcome("ridge", "+ noise (probe)").verdict == "no evidence"
    assert headline(comparison).startswith("Yes: vec helps ridge. ridge: median error 2.07 → 0.768")
    assert headline(comparison).endswith("No evidence for noise alone.")
    words = {(one.feature, one.word) for one in findings(comparison)}
    assert ("all deep features together", "helps") in words


@pytest.mark.parametrize("bounds", [[-1, 1], [0]], ids=["three classes", "two"])
def test_it_helps_to_tell_classes_apart(shop, ask, bounds):
    shop["kind"] = np.array(["cheap", "fair", "dear"])[np.digitize(shop["price"], bounds)]
    models = {"logistic": LogisticRegression()}
    comparison = ask(shop, "kind", models=models, control=False, alone=False)
    assert comparison.outcome("logistic", "+ vec (probe)").verdict == "helps"


def test_shuffled_vectors_show_nothing(shop, ask):
    control = ask(shop).outcome("ridge", "+ vec, shuffled (probe)")
    assert control.verdict is None
    assert control.lift.mean < 0.02


def test_a_rerun_with_other_splits_never_turns_yes_into_no(shop, ask):
    for strength in (0.15, 0.3, 0.6):  # from nothing to see to plain to see
        shop["price"] = shop["size"] + strength * shop[VEC].sum(axis=1) + shop[NOISE].sum(axis=1)
        words = {
            ask(shop, most_repeats=6, seed=seed, alone=False)
            .outcome("ridge", "+ vec (probe)")
            .verdict
            for seed in range(8)
        }
        assert not {"helps", "no evidence"} <= words
