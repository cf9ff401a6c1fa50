"""Templates of pages: nothing that is filled in is markup, and a missing value is an error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def html_templates(*folders: Path) -> jinja2.Environment:
    """Open folders of HTML templates; one in an earlier folder goes before its namesake.

    Examples
    --------
    >>> page = html_templates(Path(".")).from_string("<p>{{ text }}</p>")
    >>> page.render(text="2 < 3")
    '<p>2 &lt; 3</p>'
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
