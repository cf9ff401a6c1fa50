"""When splits stop, and what may then be said: by hand, and on draws whose truth is known."""

import numpy as np
import pytest

from deepfeast.pipelines.lift.measure.looks import (
    hopeless,
    plan_looks,
    rows_needed,
    rule,
    split_noise,
    splits_needed,
    step_down,
)
from deepfeast.pipelines.lift.measure.stats import corrected_lift


def around(mean, splits=30, spread=0.1):
    """A lift whose differences alternate around a mean."""
    return corrected_lift(mean + spread * np.tile([-1.0, 1.0], splits // 2), 0.25)


def test_all_looks_together_spend_five_per_cent():
    for rounds, most in ((1, 1), (2, 2), (2, 6), (1, 10)):
        assert sum(look.spends for look in plan_looks(rounds, most)) == pytest.approx(0.05)


def test_the_steps_of_holm():
    # The smallest has a third; each that is rejected leaves its share to the others.
    assert step_down([0.01, 0.04, 0.03], [1, 1, 1], 0.05).tolist() == pytest.approx(
        [0.05 / 3, 0.025, 0.025]
    )
    assert step_down([0.03, 0.5], [0.8, 0.2], 0.05)[0] == pytest.approx(0.04)


def test_the_steps_keep_the_family_wise_error():
    draws = np.random.default_rng(0).uniform(size=(4000, 3))
    wrong = np.mean([(p <= step_down(p, [0.8, 0.1, 0.1], 0.05)).any() for p in draws])
    assert wrong < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_around_the_line_it_is_borderline_and_beyond_it_is_clear():
    line = rule([around(0.1)], [1.0], 0.05)[0].line
    words = [rule([around(line * times)], [1.0], 0.05)[0].verdict for times in (0.2, 1.0, 3.0)]
    assert words == ["no evidence", "borderline", "helps"]
    assert rule([around(-3 * line)], [1.0], 0.05)[0].verdict == "hurts"


def test_more_splits_narrow_the_borderline():
    assert split_noise(around(0.1, 100), 2.0) < split_noise(around(0.1, 10), 2.0)


def test_arms_that_never_differ_are_no_evidence():
    flat = corrected_lift([0.0] * 10, 0.25)
    assert rule([flat], [1.0], 0.05)[0].verdict == "no evidence"


def test_what_is_far_below_the_line_is_given_up():
    lifts = [around(0.0, 10), around(0.15, 10), around(-0.3, 10)]
    assert hopeless(lifts, [1, 1, 1], 0.03, 30, 0.25) == [True, False, True]


def test_rows_needed_grow_with_the_square_of_what_is_missing():
    lift = around(0.05)
    ruling = rule([lift], [1.0], 0.05)[0]
    needed = rows_needed(lift, ruling, 1000)
    assert needed == pytest.approx(1000 * ((ruling.line + ruling.band) / lift.mean) ** 2, rel=0.02)
    assert rows_needed(around(-0.05), ruling, 1000) is None


def test_splits_needed_are_the_fewest_rounds_that_settle_what_stays_as_it_is():
    lift = around(0.13)
    ruling = rule([lift], [1.0], 0.05)[0]
    assert ruling.verdict == "borderline"
    needed = splits_needed(lift, ruling, 30, 0.25, 5)
    assert needed > 30
    assert needed % 5 == 0
    later = [rule([around(0.13, count)], [1.0], 0.05)[0].verdict for count in (needed + 1, 30)]
    assert later == ["helps", "borderline"]


@pytest.mark.parametrize("times", [1.0, 1.05])
def test_no_number_of_splits_that_one_can_draw_settles_what_lies_on_the_line(times):
    # As many splits as one likes leave the overlap of the training sets: half of the spread.
    lift = around(times * 1.96 * 0.5 * around(0).spread)
    ruling = rule([lift], [1.0], 0.05)[0]
    assert splits_needed(lift, ruling, 30, 0.25, 5) is None
    assert rows_needed(lift, ruling, 1000) > 1000
