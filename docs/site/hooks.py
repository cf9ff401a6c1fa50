"""Pages from outside docs/, notebooks, and links that work on the forge and on the site.

Pages are written for the forge, where a link is a path between files. On the site some files lie
elsewhere (`PLACES`), and their links and those to them are written anew. A link to a file that is
no page, and a page that would load something from the web, are warnings, which `--strict` counts.
"""

from __future__ import annotations

import json
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
log = logging.getLogger("mkdocs.hooks.deepfeast")

# Path from the project's root: path on the site.
PLACES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing/index.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "transforms/encoders/image/weights/image_tiny.md": "image_tiny.md",
}
NOTEBOOKS = {"examples/lift.ipynb": "examples/lift.md"}
COLOUR = re.compile(r"\x1b\[[\d;]*m")
LINK = re.compile(r"\]\(([^)\s#:]+\.md)(#[^)\s]*)?\)")
FENCE = re.compile(r"^```(\w+) .*$", re.MULTILINE)  # ```python no-run: a word for our tests
LOADED = re.compile(
    r"<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)=\"?(?:https?:)?//[^\s\">]+"
)


def on_files(files: Any, config: Any) -> Any:
    """Bring the pages in that lie outside docs/."""
    for source, place in PLACES.items():
        if source != "README.md":  # the site has a home of its own
            files.append(File.generated(config, place, content=(ROOT / source).read_text()))
    for source, place in NOTEBOOKS.items():
        for name, content in notebook(ROOT / "docs" / source, place).items():
            files.append(File.generated(config, name, content=content))
    return files


def notebook(source: Path, place: str) -> dict[str, str]:
    """Turn a notebook into a page, with what it printed and the pictures it drew as files."""
    parts: list[str] = []
    files: dict[str, str] = {}
    for cell in json.loads(source.read_text())["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/svg+xml" in data:
                name = place.replace(".md", f"-{len(files)}.svg")
                files[name] = "".join(data["image/svg+xml"])
                parts.append(f"![]({posixpath.basename(name)})")
            elif "text/markdown" in data:
                parts.append("".join(data["text/markdown"]))
            else:
                plain = COLOUR.sub("", "".join(data["text/plain"])).strip("\n")
                parts.append(f"```text\n{plain}\n```")
    return files | {place: "\n\n".join(parts)}


def on_post_build(config: Any) -> None:
    """Leave the page for lost visitors out: it asks for its styles at the server's root."""
    (Path(config.site_dir) / "404.html").unlink(missing_ok=True)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Write links and fences as the site has them."""
    place = page.file.src_uri
    source = next((s for s, p in PLACES.items() if p == place != "index.md"), f"docs/{place}")

    def moved(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[1]))
        if target not in PLACES and not target.startswith("docs/"):
            log.warning("%s links to %s, which is no page of the site", source, found[1])
        there = PLACES.get(target, target.removeprefix("docs/"))
        return f"]({posixpath.relpath(there, posixpath.dirname(place) or '.')}{found[2] or ''})"

    if place not in NOTEBOOKS.values():  # whose link to the file itself is to download it
        markdown = markdown.replace(".ipynb)", ".md)")
    return FENCE.sub(r"```\1", LINK.sub(moved, markdown))


def on_post_page(output: str, page: Any, config: Any) -> str:
    """Say where a page would load something from the web."""
    for found in LOADED.findall(output):
        log.warning("%s would load %s", page.file.src_uri, found)
    return output
