"""The public names as Markdown, from their docstrings: signature, sections, methods.

The source is read and nothing is imported, so that a page costs no start of torch.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ITEM = re.compile(r"^(?P<name>[\w*, ]+?)(?: : (?P<kind>.+))?$")
CODE = re.compile(r"``([^`]+)``|(?<!`)`([^`\n]+)`(?!`)")


def reference(transforms: Path) -> str:
    """Tell each public name of ``deepfeast.transforms``, in the order of the alphabet."""
    homes = _homes(transforms / "__init__.py")
    return "\n\n".join(_told(name, _found(transforms / home, name)) for name, home in homes)


def _homes(init: Path) -> list[tuple[str, str]]:
    """List the public names, each with the module that it loads from."""
    for node in ast.parse(init.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOME":
            return sorted(ast.literal_eval(node.value).items(), key=lambda pair: pair[0].lower())
    raise SystemExit(f"{init} has no _HOME")


def _found(home: Path, name: str) -> ast.ClassDef | ast.FunctionDef:
    """Find a definition in a module, or in one of a package's modules."""
    files = sorted(home.glob("*.py")) if home.is_dir() else [home.with_suffix(".py")]
    for file in files:
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                return node
    raise SystemExit(f"{name} is defined nowhere in {home}")


def _told(name: str, node: ast.ClassDef | ast.FunctionDef) -> str:
    parts = [f"## {name}", f"```text\n{_signature(node)}\n```"]
    parts += _sections(ast.get_docstring(node) or "")
    if isinstance(node, ast.ClassDef):
        methods = [line for method in node.body for line in _method(method)]
        if methods:
            parts.append("\n".join(["| method | what it does |", "| --- | --- |", *methods]))
    return "\n\n".join(parts)


def _signature(node: ast.ClassDef | ast.FunctionDef) -> str:
    """Write how it is called: one argument a line where one line is too long to be seen whole."""
    call = _call(node)
    name, _, rest = call.partition("(")
    inner, _, returned = rest.rpartition(")")
    if len(call) <= 80:
        return call
    parts = re.split(r", (?=[*\w]+(?:=|,|$))", inner)
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){returned}"])


def _call(node: ast.ClassDef | ast.FunctionDef) -> str:
    if isinstance(node, ast.FunctionDef):
        returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"{node.name}({_arguments(node)}){returned}"
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            return f"{node.name}({_arguments(method)})"
    fields = [
        f"{ast.unparse(part.target)}" + (f"={ast.unparse(part.value)}" if part.value else "")
        for part in node.body
        if isinstance(part, ast.AnnAssign) and "ClassVar" not in ast.unparse(part.annotation)
    ]
    data = any("dataclass" in ast.unparse(mark) for mark in node.decorator_list)
    return f"{node.name}({', '.join(fields) if data else ''})"


def _arguments(function: ast.FunctionDef) -> str:
    """Write the arguments without their types, which the sections tell in words."""
    bare = ast.parse(ast.unparse(function.args).join(("def f(", "): ..."))).body[0]
    assert isinstance(bare, ast.FunctionDef)
    for argument in ast.walk(bare):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return re.sub(r"^(self|cls)(, )?", "", ast.unparse(bare.args))


def _method(node: ast.stmt) -> Iterator[str]:
    if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
        return
    if any("setter" in ast.unparse(mark) for mark in node.decorator_list):
        return
    text = ast.get_docstring(node)
    if not text:
        return
    marks = {ast.unparse(mark) for mark in node.decorator_list}
    called = node.name if "property" in marks else f"{node.name}({_arguments(node)})"
    cell = _inline(" ".join(text.split("\n\n")[0].split())).replace("|", "\\|")
    yield f"| `{called}` | {cell} |"


def _sections(text: str) -> list[str]:
    """Turn a docstring in numpy's form into paragraphs, lists and examples."""
    parts, title, lines = [], "", text.splitlines()
    block: list[str] = []
    for number, line in enumerate([*lines, "", "---"]):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if (below and set(below) == {"-"} and len(below) >= 3) or number == len(lines) + 1:
            parts += _section(title, "\n".join(block).strip("\n"))
            title, block = line, []
        elif not (set(line) == {"-"} and len(line) >= 3):
            block.append(line)
    return parts


def _section(title: str, body: str) -> list[str]:
    if not body:
        return []
    if title == "Examples":
        return [f"**{title}**", f"```pycon\n{body}\n```"]
    if title in ("", "Notes"):
        return [*([f"**{title}**"] if title else []), _inline(body)]
    return [f"**{title}**", "\n".join(_items(body))]


def _items(body: str) -> Iterator[str]:
    """Give one point of a list for each name, with what is said of it."""
    name, said = "", []
    for line in [*body.splitlines(), "end"]:
        if line.startswith(" ") or not line:
            said.append(line.strip())
            continue
        if name:
            text = _inline(" ".join(filter(None, said)))
            yield f"- {name}{': ' if text else ''}{text}"
        found = ITEM.match(line)
        name, said = (f"`{line}`" if found is None else f"`{found['name']}`"), []
        if found is not None and found["kind"]:
            name += f" ({_inline(found['kind'])})"


def _inline(text: str) -> str:
    """Write code in single backticks, as Markdown has it."""
    return CODE.sub(lambda found: f"`{found[1] or found[2]}`", text)
