"""Write into the pages what the code itself says: tree, commands, encoders, names, examples.

A page marks such a place by ``<!-- compiled: NAME -->`` and ``<!-- end -->``; what stands between
is rewritten. With ``--check`` nothing is written: a page that differs from the code is an error. A
page that is not in the nav of the site always is.

    python docs/compile_pages.py
"""

from __future__ import annotations

import ast
import difflib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"(<!-- compiled: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
EXAMPLES = ROOT / "docs" / "examples"
PACKAGES = ("transforms", "pipelines")


def tree() -> str:
    """Draw the rooms, each module with the first sentence of its docstring."""
    lines = ["```text"]
    for package in PACKAGES:
        lines += _folder(ROOT / package, 0)
    return "\n".join([*lines, "```"])


def _folder(folder: Path, depth: int) -> Iterator[str]:
    init = folder / "__init__.py"
    yield _line(f"{folder.name}/", depth, _sentence(init))
    doors = sorted(p for p in folder.glob("*.py") if p != init)
    rooms = sorted(p for p in folder.iterdir() if (p / "__init__.py").is_file())
    for door in doors:
        yield _line(door.name, depth + 1, _sentence(door))
    for room in rooms:
        yield from _folder(room, depth + 1)


def _line(name: str, depth: int, what: str) -> str:
    return f"{'    ' * depth + name:<28} {what}".rstrip()


def _sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(text.split("\n\n")[0].split())


def order() -> str:
    """List the rooms in the order in which they may import one another."""
    source = (ROOT / "tests/whole/test_architecture.py").read_text()
    found = {
        node.targets[0].id: ast.literal_eval(node.value).strip()
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("TRANSFORMS", "PIPELINES")
    }
    return f"```text\n{found['TRANSFORMS']}\n--- pipelines ---\n{found['PIPELINES']}\n```"


def commands() -> str:
    """List the commands, each with the first line of its help."""
    from typer.main import get_command

    from deepfeast.pipelines.cli import app

    listed = getattr(get_command(app), "commands")  # noqa: B009 - a group has them
    rows = [
        f"| `deepfeast {name}` | {' '.join((command.help or '').split(chr(10) * 2)[0].split())} |"
        for name, command in sorted(listed.items())
    ]
    return "\n".join(["| command | what it does |", "| --- | --- |", *rows])


def codes() -> str:
    """List the exit codes, each with the errors that end so."""
    from deepfeast.transforms import errors

    found: dict[int, list[str]] = {}
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.DeepfeastError):
            found.setdefault(kind.exit_code, []).append(f"`{name}`")
    rows = [
        f"| {code} | {meaning} | {', '.join(found.get(code, []))} |"
        for code, meaning in errors.EXIT_CODES.items()
    ]
    return "\n".join(["| code | meaning | errors |", "| --- | --- | --- |", *rows])


def encoders() -> str:
    """List the encoders by name, then the kinds of string."""
    from deepfeast.transforms.encoders.listing import list_encoders

    rows = [f"| `{row.name}` | {row.modality} | {row.source} |" for row in list_encoders()]
    return "\n".join(["| string | reads | what it is |", "| --- | --- | --- |", *rows])


def reference() -> str:
    """Tell the public names by their docstrings."""
    sys.path.insert(0, str(ROOT / "docs"))
    import docstrings

    return docstrings.reference(ROOT / "transforms")


def beam_yaml() -> str:
    """Show the pipeline for Beam YAML."""
    return _file("embed.yaml", "yaml")


def mlflow() -> str:
    """Show the model for MLflow."""
    return _file("mlflow_model.py", "python no-run")


def forest() -> str:
    """Show what a legacy script and the same one with deep features differ by."""
    old, new = (EXAMPLES / f"forest_{name}.py" for name in ("before", "after"))
    lines = difflib.unified_diff(
        old.read_text().splitlines(), new.read_text().splitlines(), n=1, lineterm=""
    )
    return "\n".join(["```diff", *(line for line in lines if line[:2] not in ("--", "++")), "```"])


def _file(name: str, kind: str) -> str:
    return f"```{kind}\n{(EXAMPLES / name).read_text()}```"


PARTS: dict[str, Callable[[], str]] = {
    "tree": tree,
    "order": order,
    "commands": commands,
    "codes": codes,
    "encoders": encoders,
    "reference": reference,
    "beam_yaml": beam_yaml,
    "mlflow": mlflow,
    "forest": forest,
}


def pages() -> list[Path]:
    """Return every page that may have compiled parts."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def compiled(text: str) -> str:
    """Return a page's text with its compiled parts as the code now has them."""
    return MARK.sub(lambda found: f"{found[1]}{PARTS[found[2]]()}\n{found[3]}", text)


def unlisted() -> list[str]:
    """List the pages of docs/ that the site's nav lacks: nobody would find them there."""
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]
    listed = set(re.findall(r": (\S+\.md)$", nav, re.MULTILINE))
    pages = (page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md"))
    return sorted(set(pages) - listed)


def main(words: list[str]) -> int:
    """Rewrite the pages, or only compare them; return the exit status."""
    stale = {
        page: text
        for page in pages()
        if "<!-- compiled:" in page.read_text()
        if (text := compiled(page.read_text())) != page.read_text()
    }
    for page, text in stale.items():
        if "--check" in words:
            print(f"{page.relative_to(ROOT)} differs from the code: run make docs")
        else:
            page.write_text(text)
            print(f"wrote {page.relative_to(ROOT)}")
    for name in unlisted():
        print(f"docs/{name} is not in the nav of mkdocs.yml: name it there, by its kind")
    return 1 if unlisted() or (stale and "--check" in words) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
