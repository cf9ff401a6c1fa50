"""Where a lift comes from."""

import numpy as np
import pytest

from deepfeast.pipelines.lift.measure.segments import clustered_mean, segments


def test_oak_gains_and_elm_does_not(by_hand):
    truth = np.arange(40.0)
    oak = np.arange(40) % 2 == 0
    before = truth + 5
    after = np.where(oak, truth + 1, before)  # oak is off by 1, no longer by 5
    wood = np.where(oak, "oak", "elm")
    found = segments(by_hand(truth, before, after, columns={"wood": wood}))
    woods = {one.name: one for one in found if one.by == "wood"}
    assert (woods["oak"].rows, woods["oak"].before, woods["oak"].after) == (20, 5, 1)
    assert (woods["oak"].gain, woods["oak"].low) == (4, 4)
    assert woods["elm"].gain == 0


def test_the_target_is_cut_in_tenths_of_as_many_rows(by_hand):
    truth = np.arange(200.0)
    after = np.where(truth < 20, truth, truth + 3)  # the lowest tenth alone becomes right
    found = segments(by_hand(truth, truth + 3, after))
    tenths = [one for one in found if one.by == "price, by tenths"]
    assert [one.rows for one in tenths] == [20] * 10
    assert [one.gain for one in tenths] == [3] + [0] * 9
    assert tenths[0].name == "0 to 19.9"


def test_a_target_that_mostly_repeats_is_not_cut(by_hand):
    assert segments(by_hand(np.ones(50), np.ones(50), np.ones(50))) == []


def test_classes_are_parts_of_their_own(by_hand):
    truth = np.repeat([0, 1], 20)
    found = segments(by_hand(truth, np.zeros(40), truth, classes=["oak", "elm"], target="wood"))
    assert [(one.by, one.name, one.gain) for one in found] == [
        ("wood", "oak", 0),
        ("wood", "elm", 100),
    ]


def test_rare_categories_are_put_together_and_missing_ones_are_named(by_hand):
    shelf = np.array(["abcdefgh"[row % 8] for row in range(160)] + ["x", "y"] * 10 + [None] * 20)
    truth = np.arange(200.0)
    found = segments(by_hand(truth, truth, truth, columns={"shelf": shelf}))
    sizes = {one.name: one.rows for one in found if one.by == "shelf"}
    assert sizes == dict.fromkeys("abcdefgh", 20) | {"all others": 20, "missing": 20}


def test_small_parts_and_untested_rows_are_left_out(by_hand):
    truth = np.arange(60.0)
    wood = np.array(["oak"] * 30 + ["elm"] * 25 + ["yew"] * 5)
    after = truth.copy()
    after[:10] = np.nan
    found = segments(by_hand(truth, truth, after, columns={"wood": wood}))
    assert {one.name: one.rows for one in found if one.by == "wood"} == {"oak": 20, "elm": 25}


def test_a_model_that_failed_has_no_segments(by_hand):
    comparison = by_hand(np.arange(50.0), np.zeros(50), np.zeros(50))
    comparison.outcomes[1].failed = "RuntimeError: no licence"
    assert segments(comparison) == []


@pytest.mark.parametrize("group", [1, 8])
def test_the_interval_holds_for_rows_that_belong_together(group):
    """It must hold the truth, zero, in 95 % of draws; to forget the groups gives 55 %."""
    random, inside = np.random.default_rng(0), 0
    groups = np.arange(320) // group
    for _ in range(400):
        values = random.normal(size=320 // group)[groups] + random.normal(size=320) / 2
        mean, reach = clustered_mean(values, groups)
        inside += abs(mean) <= reach
    assert 0.92 <= inside / 400 <= 0.98
