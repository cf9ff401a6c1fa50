"""What a search has found as one HTML file, with pictures, that needs nothing but a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.tell.contents import shown_content
from deepfeast.transforms.errors import Reject

if TYPE_CHECKING:
    from deepfeast.pipelines.search.answer import Found, Hit

TEMPLATES = Path(__file__).parent / "templates"


def render(found: Found) -> str:
    """Write the page: no script, no link to elsewhere."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    cards = [{"hit": hit, "contents": _contents(hit)} for hit in found.hits]
    return environment.get_template("search.html").render(found=found, cards=cards)


def _contents(hit: Hit) -> list[dict[str, Any]]:
    """Show the photos and texts of a hit; photos that cannot be read are left out."""
    shown = []
    for column, value in hit.contents.items():
        if not isinstance(value, str | bytes):
            continue
        try:
            shown.append({"column": column, **shown_content(value)})
        except Reject:
            continue
    return shown
