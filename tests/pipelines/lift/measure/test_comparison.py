"""Scores become lifts, and looks at them verdicts."""

import numpy as np
import pytest

from deepfeast.pipelines.lift.ask.arms import Arm
from deepfeast.pipelines.lift.measure.comparison import Outcome, look, measure_lifts
from deepfeast.pipelines.lift.measure.looks import Look, plan_looks

(LAST,) = plan_looks(2, 2)[1:]
CLEAR = np.tile([0.30, 0.31], 5)
NOISE = np.tile([0.1, -0.1], 5)
NEAR = np.tile([0.10, 0.02], 5)


@pytest.fixture
def scored(by_hand):
    """Return a comparison of arms whose gains over a baseline of 0.5 are given, by label."""

    def made(gains, splits=10, **about):
        comparison = by_hand(range(40), range(40), range(40), **about)
        comparison.splits = [(np.arange(32), np.arange(32, 40))] * splits
        baseline = comparison.outcomes[0]
        baseline.scores = np.full(splits, 0.5)
        comparison.outcomes = [baseline]
        for (kind, how), gain in gains.items():
            arm = Arm(f"+ photo, {kind}", kind, ("photo",), how)
            scores = 0.5 + np.asarray(gain)
            comparison.outcomes.append(Outcome("old", arm, scores, 0, 0, np.zeros(40)))
        return comparison

    return made


def verdicts(comparison):
    return [outcome.verdict for outcome in comparison.outcomes[1:]]


def test_the_last_look_rules_on_every_question(scored):
    comparison = scored({("deep", "probe"): CLEAR, ("deep", "raw"): NOISE, ("deep", "pca"): -CLEAR})
    assert look(comparison, LAST, LAST, set()) == set()
    assert verdicts(comparison) == ["helps", "no evidence", "hurts"]
    assert comparison.questions == 3


def test_a_control_is_no_question(scored):
    comparison = scored({("deep", "probe"): CLEAR, ("control", "probe"): CLEAR})
    look(comparison, LAST, LAST, set())
    assert verdicts(comparison) == ["helps", None]
    assert comparison.outcomes[2].lift.mean == pytest.approx(0.305)
    assert comparison.questions == 1


def test_an_early_look_settles_what_is_clear_and_goes_on_with_what_may_yet_be(scored):
    comparison = scored({("deep", "probe"): CLEAR, ("deep", "pca"): NEAR, ("deep", "raw"): -NOISE})
    settled: set[int] = set()
    worth = look(comparison, Look(2, 0.02), Look(6, 0.03), settled)
    assert settled == {1}
    assert worth == {2}
    assert verdicts(comparison) == ["helps", None, None]
    comparison.outcomes[1].verdict = "as settled"
    look(comparison, LAST, LAST, settled)
    assert comparison.outcomes[1].verdict == "as settled"


def test_a_first_look_only_gives_up(scored):
    comparison = scored({("deep", "probe"): CLEAR, ("deep", "pca"): NOISE, ("deep", "raw"): -CLEAR})
    settled: set[int] = set()
    # What seems to hurt is looked at again: nothing may be settled yet.
    assert look(comparison, Look(1, 0.0), Look(6, 0.05), settled) == {1, 3}
    assert settled == set()


def test_the_main_form_may_spend_four_fifths_of_the_error(scored):
    comparison = scored({("deep", how): NEAR - 0.01 for how in ("columns", "raw", "pca")})
    look(comparison, LAST, LAST, set())
    main, *others = (outcome.adjusted_p for outcome in comparison.outcomes[1:])
    assert others == [pytest.approx(8 * main)] * 2
    assert main == pytest.approx(comparison.outcomes[1].lift.p / 0.8)


def test_a_lift_is_over_the_same_splits_of_the_baseline(scored):
    comparison = scored({("deep", "probe"): np.full(4, 0.1), ("deep", "raw"): np.full(10, 0.1)})
    comparison.outcomes[0].scores[4:] = 0.9  # the later splits are easier
    measure_lifts(comparison)
    few, many = comparison.outcomes[1:]
    assert few.lift.mean == pytest.approx(0.1)
    assert (few.lift.splits, many.lift.splits) == (4, 10)
    assert many.lift.mean == pytest.approx(0.6 - 0.74)
    assert (comparison.before(few), comparison.before(many)) == pytest.approx((0.5, 0.74))


def test_what_failed_has_no_lift_and_takes_no_other_with_it(scored):
    comparison = scored({("deep", "probe"): CLEAR, ("deep", "raw"): CLEAR})
    comparison.outcomes[1].failed = "RuntimeError: no licence"
    look(comparison, LAST, LAST, set())
    assert verdicts(comparison) == [None, "helps"]
    assert np.isnan(comparison.outcomes[1].score)
    assert comparison.best("old") is comparison.outcomes[2]
    everything = scored({("deep", "probe"): CLEAR})
    everything.outcomes[0].failed = "RuntimeError: no licence"
    look(everything, LAST, LAST, set())
    assert everything.best("old") is None


@pytest.mark.parametrize("times", [None, np.arange(40)], ids=["folds", "windows"])
def test_a_borderline_knows_rows_and_where_they_can_be_drawn_splits(scored, times):
    comparison = scored({("deep", "probe"): NEAR}, times=times)
    look(comparison, LAST, LAST, set())
    outcome = comparison.outcomes[1]
    assert outcome.verdict == "borderline"
    assert outcome.needed > 40
    assert (outcome.needed_splits is None) == (times is not None)


def test_an_arm_is_found_by_model_and_label(scored):
    comparison = scored({("deep", "probe"): CLEAR})
    assert comparison.outcome("old", "+ photo, deep (probe)") is comparison.outcomes[1]
    with pytest.raises(KeyError, match=r"no arm '\+ photo' of model 'old'.*old: handcrafted"):
        comparison.outcome("old", "+ photo")


def test_time_to_predict_is_told_for_a_thousand_rows(scored):
    outcome = scored({}).outcomes[0]
    assert np.isnan(outcome.predict_milliseconds)
    outcome.predict_seconds, outcome.tested_rows = 0.02, 40
    assert outcome.predict_milliseconds == pytest.approx(500)
