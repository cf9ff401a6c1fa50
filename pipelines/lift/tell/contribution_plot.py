"""What groups of columns move predictions by, drawn as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.tell.plots import ACCENT, INK, NONE, draw

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.contributions import Contribution


def contribution_plot(found: Sequence[Contribution], unit: str) -> str:
    """Draw the contributions of one model: the handcrafted columns, and each deep feature."""

    def paint(axes: Any) -> None:
        places = -np.arange(len(found))
        colours = [ACCENT if one.deep else NONE for one in found]
        axes.barh(places, [one.size for one in found], color=colours, height=0.62)
        axes.set_yticks(places, [f"{one.group}  {one.share:.0%}" for one in found])
        for label, one in zip(axes.get_yticklabels(), found, strict=True):
            label.set_color(INK)
            label.set_fontweight("bold" if one.deep else "normal")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"mean move of the prediction, {unit}")

    return draw(0.75 + 0.3 * len(found), paint, f"contributions {found[0].model}")


def contribution_words(found: Sequence[Contribution], unit: str) -> str:
    """Say it, for those who do not see the picture, and what it means."""
    told = ", ".join(f"{one.group} {one.size:.3g}" for one in found)
    return (
        f"So far each group moves the prediction of a held-out row on average, up or down, in "
        f"{unit}: {told}. By TreeSHAP, summed over the columns of a group."
    )
