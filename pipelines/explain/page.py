"""What features respond to as one HTML file that needs nothing but a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deepfeast.pipelines.lift.tell.occluded import css, drawn
from deepfeast.pipelines.search.page import fill

if TYPE_CHECKING:
    from deepfeast.pipelines.explain.answer import Explained

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 10


def render_explained(found: Explained) -> str:
    """Write the page: no script, no link to elsewhere."""
    cards = [
        {
            "response": one,
            "drawn": drawn(one.content, one.parts, one.unit),
            "rows": one.rows(SHOWN),
        }
        for one in found.responses
    ]
    return fill("explained.html", TEMPLATES, found=found, cards=cards, css=css())
