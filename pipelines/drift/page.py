"""What has drifted, and the most unusual rows, as one HTML file with pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deepfeast.pipelines.drift.answer import BLIND
from deepfeast.pipelines.search.page import fill, shown_contents

if TYPE_CHECKING:
    from deepfeast.pipelines.drift.answer import Drift

TEMPLATES = Path(__file__).parent / "templates"


def render_drift(found: Drift) -> str:
    """Write the page: no script, no link to elsewhere."""
    parts = [
        {
            "feature": feature,
            "cards": [{"row": row, "contents": shown_contents(row.contents)} for row in rows],
        }
        for feature, rows in found.unusual.items()
    ]
    return fill("drift.html", TEMPLATES, found=found, rows=found.rows(), parts=parts, blind=BLIND)
