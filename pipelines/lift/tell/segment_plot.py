"""The gain by segment, drawn: a dot, its interval, and the number of rows of each part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.tell.plots import BAD, CARD, FAINT, GOOD, INK, NONE, draw

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.segments import Segment

# Shape says what colour says, for those who cannot tell the colours apart.
BETTER, WORSE, UNCLEAR = (GOOD, "^"), (BAD, "v"), (NONE, "o")
LONGEST_NAME = 26


def segment_plot(found: Sequence[Segment], model: str, unit: str) -> str:
    """Draw the gain of one model on each part of the rows, column by column."""
    lines: list[str | Segment] = []
    for by in dict.fromkeys(segment.by for segment in found):
        lines += [by, *(segment for segment in found if segment.by == by)]

    def paint(axes: Any) -> None:
        axes.axvline(0, color=FAINT, linewidth=1)
        labels = []
        for place, line in enumerate(lines):
            if isinstance(line, str):
                labels.append(line)
                continue
            labels.append(f"{_cut(line.name)} ({line.rows:,})")
            colour, shape = look_of(line)
            axes.plot([line.low, line.high], [-place, -place], color=colour, linewidth=2.5)
            axes.plot([line.gain], [-place], shape, color=colour, ms=7.5, markeredgecolor=CARD)
        ends = [end for s in found for end in (s.low, s.high, 0.0)]
        # One segment of few rows must not flatten the others.
        low, high = np.quantile(ends, [0.02, 0.98])
        axes.set_xlim(min(low, 0.0) * 1.1, max(high, 0.0) * 1.1)
        axes.set_yticks(-np.arange(len(lines)), labels)
        for label, line in zip(axes.get_yticklabels(), lines, strict=True):
            label.set_color(INK)
            label.set_fontweight("bold" if isinstance(line, str) else "normal")
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-len(lines) + 0.4, 0.6)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{unit}, less than before")

    return draw(0.7 + 0.25 * len(lines), paint, f"segments {model}")


def look_of(segment: Segment) -> tuple[str, str]:
    """Return the colour and the shape of a segment's dot.

    A triangle points up where the whole interval is a gain, down where it is a loss; else a dot.
    """
    if segment.low > 0:
        return BETTER
    return WORSE if segment.high < 0 else UNCLEAR


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1].rstrip() + "…"
