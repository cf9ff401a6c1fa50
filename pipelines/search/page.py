"""What was found as one HTML file, with pictures, that needs nothing but a browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.tell.contents import shown_content
from deepfeast.pipelines.templates import html_templates
from deepfeast.transforms.errors import Reject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from deepfeast.pipelines.search.answer import Found, Hit
    from deepfeast.pipelines.search.groups import Duplicates

TEMPLATES = Path(__file__).parent / "templates"


def render(found: Found) -> str:
    """Write the page of a search: no script, no link to elsewhere."""
    return fill("search.html", found=found, cards=_cards(found.hits))


def render_duplicates(found: Duplicates) -> str:
    """Write the page of near-copies: the groups and rows whose contents were read."""
    groups = [
        {"number": group.number, "size": len(group.hits), "cards": _cards(group.shown)}
        for group in found.groups[: found.shown]
    ]
    return fill("duplicates.html", found=found, groups=groups)


def fill(template: str, folder: Path = TEMPLATES, **values: Any) -> str:
    """Fill a template of a folder, which may include those of search."""
    return html_templates(folder, TEMPLATES).get_template(template).render(**values)


def _cards(hits: Iterable[Hit]) -> list[dict[str, Any]]:
    return [{"hit": hit, "contents": shown_contents(hit.contents)} for hit in hits]


def shown_contents(contents: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Show photos and texts by their columns; photos that cannot be read are left out."""
    shown = []
    for column, value in contents.items():
        if not isinstance(value, str | bytes):
            continue
        try:
            shown.append({"column": column, **shown_content(value)})
        except Reject:
            continue
    return shown
