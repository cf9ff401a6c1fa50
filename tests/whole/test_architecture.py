"""Who may import whom, and how the tree is kept: the rule of docs/contributing/architecture.md."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 400

# From the ground up: a room imports only from those on lines above its own, and inside itself.
TRANSFORMS = """
errors late
times int8 cores ridge nearest
arrow
features feast_api
files
warehouse
images
cells
encoders copies
embeddings testing occlusion
columns views
signatures
history
online embed monitoring
join lookup
embed_rows
probe
deep_columns
estimators
"""
PIPELINES = """
options workers terminal templates junit lineage metrics
beam
command
embed
materialize
engine retrieval_job monitoring doctor export
forget offline_store
lift.ask
lift.measure
lift.tell
lift
search
drift
explain
start
demo
cli
"""
LINES = [[f"transforms.{name}" for name in line.split()] for line in TRANSFORMS.splitlines()]
LINES += [[f"pipelines.{name}" for name in line.split()] for line in PIPELINES.splitlines()]
LEVEL = {name: level for level, names in enumerate(LINES) for name in names}
# Narrower than their place in the order: what else of pipelines these may import.
ONLY = {
    "pipelines.offline_store": {"pipelines.monitoring", "pipelines.retrieval_job"},
    "pipelines.monitoring": set(),
    "pipelines.retrieval_job": set(),
    "pipelines.doctor": {"pipelines.embed", "pipelines.junit"},
}
PACKAGES = {"transforms", "pipelines"}

# Feast's underscored names may be met in feast_api alone; so may what is written below.
PRIVATE = re.compile(r"^_[a-z]")
SQL_PATH = re.compile(
    r"(read_parquet|parquet_scan|read_csv|read_csv_auto|delta_scan)\s*\(|from\s+'$", re.I
)


def modules(*folders):
    for folder in folders or sorted(PACKAGES):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "listings_repo" not in path.parts:
                yield path


def dotted(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {dotted(path) for path in modules()}


def room(name):
    """Return the room of a module: ``transforms.files.place`` lies in ``transforms.files``."""
    parts = name.split(".")
    narrow = ".".join(parts[:3])
    return narrow if narrow in LEVEL else ".".join(parts[:2])


def imported(path):
    """Yield the modules of the project that a file imports, wherever in it, for whatever use."""
    own = dotted(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            base = node.module or ""
            found = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            if not name.startswith("deepfeast."):
                continue
            name = name.removeprefix("deepfeast.")
            while name and name not in NAMES:
                name = name.rpartition(".")[0]
            if name and name != own:
                yield name


def layering_offences():
    for path in modules():
        own = dotted(path)
        if own in PACKAGES:
            continue
        for name in sorted(set(imported(path))):
            here, there = room(own), room(name)
            if here == there or name == "transforms":
                continue
            if here not in LEVEL or there not in LEVEL:
                yield f"{own}: {here if here not in LEVEL else there} has no place in the order"
                continue
            upward = LEVEL[there] >= LEVEL[here]
            barred = name.startswith("pipelines") and there not in ONLY.get(here, {there})
            if upward or barred:
                yield f"{own} -> {name}"


def circles():
    """Yield the modules that import one another, directly or not (Tarjan's components)."""
    graph = {dotted(path): set(imported(path)) for path in modules()}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[str] = []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while (member := stack.pop()) != node:
                group.append(member)
            if group:
                found.append(" <-> ".join(sorted([node, *group])))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def private_names():
    """Yield names of Feast that begin with an underscore, met outside feast_api."""
    for path in modules():
        if dotted(path) == "transforms.feast_api":
            continue
        tree = ast.parse(path.read_text())
        feasts = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "feast":
                feasts |= {alias.asname or alias.name for alias in node.names}
                for alias in node.names:
                    if PRIVATE.match(alias.name):
                        yield f"{dotted(path)}: {alias.name} of {node.module}"
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and PRIVATE.match(node.attr)
                and isinstance(node.value, ast.Name)
                and (node.value.id in feasts or node.value.id in ("store", "registry", "provider"))
            ):
                yield f"{dotted(path)}: {node.value.id}.{node.attr}"


def paths_in_sql():
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                words = [part.value for part in node.values if isinstance(part, ast.Constant)]
                if any(SQL_PATH.search(str(word)) for word in words):
                    yield f"{dotted(path)}:{node.lineno}"


def long_modules():
    folders = ("transforms", "pipelines", "benchmarks", "training", "tests", "feature_repo")
    for path in modules(*folders):
        lines = len(path.read_text().splitlines())
        if lines > LONGEST:
            yield f"{path.relative_to(ROOT)}: {lines} lines"


def untested():
    for path in modules():
        if path.name == "__init__.py":
            continue
        where = path.relative_to(ROOT).with_name(f"test_{path.name}")
        if not (ROOT / "tests" / where).is_file():
            yield f"{path.relative_to(ROOT)} has no tests/{where}"


@pytest.mark.parametrize(
    "offences", [layering_offences, circles, private_names, paths_in_sql, long_modules, untested]
)
def test_the_house_is_in_order(offences):
    found = list(offences())
    assert not found, "\n".join(found)


def test_every_room_has_a_place_in_the_order():
    assert {room(name) for name in NAMES} - PACKAGES == set(LEVEL)
