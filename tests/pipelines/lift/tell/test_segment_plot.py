"""The gain by segment, drawn."""

from deepfeast.pipelines.lift.measure.segments import Segment
from deepfeast.pipelines.lift.tell.plots import BAD, GOOD, NONE
from deepfeast.pipelines.lift.tell.segment_plot import look_of, segment_plot


def part(name, gain, reach):
    return Segment("old", "wood", name, 1234, 9.0, 9.0 - gain, gain, gain - reach, gain + reach)


def test_shape_and_colour_say_the_same():
    assert look_of(part("oak", 3, 1)) == (GOOD, "^")
    assert look_of(part("elm", -3, 1)) == (BAD, "v")
    assert look_of(part("yew", 1, 3)) == (NONE, "o")


def test_names_and_numbers_of_rows_stand_in_the_picture():
    svg = segment_plot(
        [part("oak", 3, 1), part("a very long name of a wood", 1, 2)], "old", "% off"
    )
    assert "oak (1,234)" in svg
    assert "% off, less than before" in svg
    assert "var(--good)" in svg
