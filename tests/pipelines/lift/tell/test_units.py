"""A gain as people say it."""

from types import SimpleNamespace

import numpy as np

from deepfeast.pipelines.lift.tell.units import amount, in_units, percent


def problem(y, *, logged=False, classes=()):
    return SimpleNamespace(y=np.asarray(y, float), logged=logged, classes=list(classes))


def predicted(values):
    return SimpleNamespace(predictions=np.asarray(values, float))


def test_amounts_have_no_exponent():
    assert [amount(n) for n in (8.7481e5, 1234.5, 3.14159, 1e-5)] == [
        "875,000",
        "1,230",
        "3.14",
        "0.0000100",
    ]
    assert percent(0.5) == "50 %"


def test_an_error_of_a_logarithm_is_a_percentage():
    found = in_units(problem([0, 0, 0], logged=True), predicted([0.2] * 3), predicted([0.1] * 3))
    assert found == "median error 22 % → 11 %"


def test_an_error_of_a_number_is_in_its_own_unit():
    found = in_units(problem([1e6] * 3), predicted([2e6] * 3), predicted([1.5e6] * 3))
    assert found == "median error 1,000,000 → 500,000"


def test_classes_are_told_in_points():
    found = in_units(
        problem([0, 1, 1, 0], classes="ab"), predicted([0, 0, 0, 0]), predicted([0, 1, 0, 0])
    )
    assert found == "50 % → 75 % right, +25.0 points"
