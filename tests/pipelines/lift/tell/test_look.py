"""Phrases of the closer looks."""

from deepfeast.pipelines.lift.measure.moved import Moved
from deepfeast.pipelines.lift.tell.look import hours, moved_words


def test_moved_numbers_and_moved_classes_read_differently():
    moved = Moved("old", considered=100, closer=70, further=20)
    assert moved_words(moved, classes=False) == (
        "Of the tenth of the rows that moved most, 70 of 100 came closer to the truth and 20 went "
        "further from it."
    )
    assert moved_words(moved, classes=True).endswith(
        "70 became right, 20 became wrong, 10 went from one wrong class to another."
    )


def test_no_work_takes_no_time_at_all():
    assert hours(0.0001) == "1 min"
    assert hours(1234.5) == "1,234 h"
