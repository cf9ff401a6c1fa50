"""The rows whose prediction moved most."""

import numpy as np

from deepfeast.pipelines.lift.measure.moved import MovedRow, moved_rows


def test_the_furthest_come_first_with_the_way_they_went(by_hand):
    truth = np.full(40, 10.0)
    before, after = np.full(40, 8.0), np.full(40, 8.0)
    after[3], after[5], after[7] = 10.0, 4.0, 8.5
    (moved,) = moved_rows(by_hand(truth, before, after))
    assert moved.rows == [
        MovedRow(5, 10.0, 8.0, 4.0, closer=False),
        MovedRow(3, 10.0, 8.0, 10.0, closer=True),
        MovedRow(7, 10.0, 8.0, 8.5, closer=True),
    ]
    assert (moved.considered, moved.closer, moved.further) == (3, 2, 1)


def test_a_logarithm_moves_by_factors_and_is_shown_in_money(by_hand):
    truth = np.log(np.full(20, 100.0))
    before, after = truth.copy(), truth.copy()
    before[2], after[2] = np.log(10.0), np.log(50.0)  # five times as much
    before[4], after[4] = np.log(900.0), np.log(1000.0)  # further in money, not as a factor
    (moved,) = moved_rows(by_hand(truth, before, after, logged=True))
    first = moved.rows[0]
    assert (first.row, round(first.truth), round(first.before), round(first.after)) == (
        2,
        100,
        10,
        50,
    )
    assert [one.closer for one in moved.rows] == [True, False]


def test_classes_count_those_that_changed(by_hand):
    truth = np.array([0, 1, 2, 2] * 5)
    before, after = np.zeros(20), np.zeros(20)
    after[[1, 5]] = 1  # became right
    after[0] = 2  # became wrong
    after[2] = 1  # from one wrong class to another
    (moved,) = moved_rows(by_hand(truth, before, after, classes=["oak", "elm", "yew"]))
    assert (moved.considered, moved.closer, moved.further) == (4, 2, 1)
    assert {one.row for one in moved.rows} == {0, 1, 2, 5}


def test_rows_that_no_split_tested_do_not_move(by_hand):
    before = np.r_[np.full(10, np.nan), np.zeros(10)]
    (moved,) = moved_rows(by_hand(np.ones(20), before, np.ones(20)))
    assert min(one.row for one in moved.rows) == 10
