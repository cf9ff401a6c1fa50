"""How far off a prediction is, in people's units."""

import numpy as np

from deepfeast.pipelines.lift.measure.errors import error_unit, row_errors


def test_numbers_are_off_by_their_difference(by_hand):
    problem = by_hand([10.0, 20.0], [0, 0], [0, 0]).problem
    assert row_errors(problem, np.array([12.0, 17.0])).tolist() == [2, 3]
    assert error_unit(problem) == "price"


def test_of_a_logarithm_half_is_as_far_off_as_double(by_hand):
    problem = by_hand(np.log([10.0, 10.0, 10.0]), [0] * 3, [0] * 3, logged=True).problem
    errors = row_errors(problem, np.log([5.0, 20.0, 10.0]))
    assert errors.round(6).tolist() == [50, 50, 0]
    assert error_unit(problem) == "% off"


def test_a_class_is_right_or_wrong_and_untested_rows_are_neither(by_hand):
    problem = by_hand([0, 1, 1], [0] * 3, [0] * 3, classes=["oak", "elm"]).problem
    errors = row_errors(problem, np.array([0, 0, np.nan]))
    assert errors[:2].tolist() == [0, 100]
    assert np.isnan(errors[2])
    assert error_unit(problem) == "% wrong"
