"""The repo of docs/warehouse.md, typed as it stands there, on a real PostgreSQL."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "warehouse.md"
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def server(request):
    """A PostgreSQL, with pgvector where that is installed."""
    has_pgvector = importlib.util.find_spec("pgserver")
    return request.getfixturevalue("pgvector" if has_pgvector else "postgres"), has_pgvector


def typed(line):
    """Do what a line of a shell does: our commands in this process, and Feast's in its own."""
    program, *words = shlex.split(line)
    if program == "deepfeast":
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{line}\n{done.output}"
        return done.stdout
    command = [sys.executable, "-m", "feast.cli.cli", *words]
    assert program == "feast"
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_repo_of_the_page_works_as_it_says(server, tmp_path, monkeypatch):
    postgres, has_pgvector = server
    blocks: dict[str, list[str]] = {}
    for kind, text in BLOCK.findall(PAGE.read_text()):
        blocks.setdefault(kind, []).append(text)
    views, training = blocks["python"]
    for name in ("host", "port", "database", "schema", "user", "password"):
        value = postgres.block["db_schema" if name == "schema" else name]
        monkeypatch.setenv(f"WAREHOUSE_{name.upper()}", str(value))
    postgres.run(*blocks["sql"][0].split(";\n"))
    (tmp_path / "feature_store.yaml").write_text(blocks["yaml"][0])
    (tmp_path / "views.py").write_text(views)
    monkeypatch.chdir(tmp_path)
    for line in blocks["sh"][0].splitlines():
        typed(line)
    exec(compile(training, str(PAGE), "exec"), {"__name__": "__main__"})
    # Nothing is new: the next run reads the rows of the last hour alone.
    assert '"source_rows": 1' in typed("deepfeast embed listing_deep --json")
    # Vectors go where SQL finds them.
    drop = "DROP TABLE IF EXISTS public.listing_vectors, public.listing_points CASCADE"
    postgres.run(drop)
    exports = blocks["sh"][1].splitlines()
    for line in exports[: 2 if has_pgvector else 1]:
        typed(line)
    (_, few), (_, _) = postgres.run(*blocks["sql"][1].split(";\n")[:2])
    assert len(few) == 3
    if has_pgvector:
        ((other, cosine),) = postgres.run(*blocks["sql"][2].split(";\n")[:2])
        assert (other, 0 < cosine < 1) == ("b", True)
    postgres.run(drop)
