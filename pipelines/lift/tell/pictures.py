"""The page's plots as pictures that stand alone: for a notebook, or for slides."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from deepfeast.pipelines.lift.measure.result import LiftResult
from deepfeast.pipelines.lift.tell.page import (
    TEMPLATES,
    Plot,
    direction_maps,
    lift_plots,
    plots_behind,
)

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.comparison import Comparison

VARIABLE = re.compile(r"--([\w-]+): ([^;]+);")


def pictures(what: Comparison | LiftResult) -> dict[str, str]:
    """Draw the plots of the page, each as an SVG that needs no page around it.

    Parameters
    ----------
    what : Comparison or LiftResult
        What `compare` or `run_lift` returned; of a comparison there is no learning curve and no
        importance.

    Returns
    -------
    dict of str to str
        SVG by title, in the page's order and its light colours.

    Examples
    --------
    >>> for title, svg in pictures(comparison).items():  # doctest: +SKIP
    ...     display(SVG(svg))  # of IPython.display
    """
    result = what if isinstance(what, LiftResult) else LiftResult(what, [], [], [], {}, [], [])
    comparison = result.comparison
    plots = [*lift_plots(comparison), *plots_behind(result), *direction_maps(comparison)]
    light = (TEMPLATES / "lift.css").read_text(encoding="utf-8").partition("}")[0]
    colours = dict(VARIABLE.findall(light))
    return {plot.title: _alone(plot, colours) for plot in plots}


def _alone(plot: Plot, colours: dict[str, str]) -> str:
    """Give an SVG its size, its words for who does not see it, and colours instead of names."""
    inside = plot.svg.partition(">")[2]
    width, height = re.findall(r"[\d.]+", plot.svg.partition(">")[0].partition("viewBox")[2])[2:4]
    whole = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(plot.title)}</title><desc>{escape(plot.words)}</desc>"
        f'<rect width="100%" height="100%" fill="var(--card)"/>{inside}'
    )
    # In an attribute, so that a font's name has no double quotes.
    return re.sub(r"var\(--([\w-]+)\)", lambda m: colours[m[1]].replace('"', "'"), whole)
