"""Short phrases of the closer looks: rows moved, hours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.moved import Moved


def moved_words(moved: Moved, classes: bool) -> str:
    """Say whether what moved came closer to the truth."""
    if classes:
        other = moved.considered - moved.closer - moved.further
        return (
            f"{moved.considered:,} rows changed their class: {moved.closer:,} became right, "
            f"{moved.further:,} became wrong, {other:,} went from one wrong class to another."
        )
    return (
        f"Of the tenth of the rows that moved most, {moved.closer:,} of {moved.considered:,} came "
        f"closer to the truth and {moved.further:,} went further from it."
    )


def hours(value: float) -> str:
    """Write a time of work.

    >>> hours(0.02), hours(1.25), hours(30)
    ('1 min', '1.2 h', '30 h')
    """
    if value < 1:
        return f"{max(1, round(60 * value))} min"
    return f"{value:.1f} h" if value < 10 else f"{value:,.0f} h"
