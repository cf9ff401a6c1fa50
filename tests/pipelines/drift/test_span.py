from datetime import datetime, timezone

import pytest

from deepfeast.pipelines.drift.span import overlap, read_span
from deepfeast.transforms.errors import DriftError


def test_a_time_zone_is_understood_and_a_time_is_exact():
    span = read_span("2024-01-01T12:00+02:00..2024-01-02T00:00")
    assert span.start == datetime(2024, 1, 1, 10, tzinfo=timezone.utc)
    assert span.end == datetime(2024, 1, 2, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text", ["", "..", "2024-01-01", "2024-01-01..soon", "x..", "2024-13-01.."]
)
def test_what_is_no_window_is_told_with_an_example(text):
    with pytest.raises(DriftError, match=r"2024-01-01\.\.2024-03-31"):
        read_span(text)


def test_a_window_does_not_end_before_it_begins():
    with pytest.raises(DriftError, match="ends before it begins"):
        read_span("2024-02-01..2024-01-01")


def test_one_day_after_the_other_is_no_overlap():
    assert not overlap(read_span("..2024-01-31"), read_span("2024-02-01.."))
    assert overlap(read_span("2024-01-01.."), read_span("2024-02-01.."))
