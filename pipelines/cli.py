"""The ``deepfeast`` command.

Each command is a thin skin over one function of the library.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Annotated

import typer

from deepfeast.pipelines.command import AsJson, Commands, Repo, run_commands
from deepfeast.pipelines.drift.cli import drift
from deepfeast.pipelines.embed.cli import embed
from deepfeast.pipelines.embed.table_cli import (
    compact,
    rejects,
    rollback,
    runs,
    vacuum,
    versions,
)
from deepfeast.pipelines.explain.cli import explain
from deepfeast.pipelines.export.cli import export
from deepfeast.pipelines.forget.cli import forget
from deepfeast.pipelines.lift.cli import lift
from deepfeast.pipelines.materialize.cli import verify
from deepfeast.pipelines.search.cli import duplicates, search, similar
from deepfeast.pipelines.start.cli import init, run, try_
from deepfeast.pipelines.terminal import open_repo, print_rows

app = Commands(
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# As --help lists them: what one begins with, the tables, what is asked of them, what keeps them.
REGISTERED = (
    try_,
    init,
    run,
    embed,
    lift,
    runs,
    rejects,
    versions,
    rollback,
    compact,
    vacuum,
    forget,
    similar,
    search,
    duplicates,
    explain,
    drift,
    export,
    verify,
)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    told = [f"{name} {version(name)}" for name in ("deepfeast", "feast", "apache-beam")]
    print(", ".join([*told, f"Python {platform.python_version()}"]))
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the versions and exit."
        ),
    ] = False,
) -> None:
    """Deep features for the models you already have.

    Begin with one table: deepfeast try your.csv --target price. In a Feast repo: declare deep
    features, run `feast apply`, then `deepfeast embed`.
    """


def main() -> None:
    """Run the command."""
    run_commands(app)


for command in REGISTERED:
    app.command(command.__name__.rstrip("_"))(command)


@app.command()
def encoders(
    only: Annotated[
        list[str] | None,
        typer.Argument(help="Encoders to look at; by default all that have a name."),
    ] = None,
    timed: Annotated[
        bool, typer.Option("--time", help="Also measure how many values a second they encode here.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the encoders: what to write, what they give, where they come from.

    Example: deepfeast encoders minilm image-tiny --time
    """
    from deepfeast.transforms.encoders import get_encoder
    from deepfeast.transforms.encoders.listing import describe, list_encoders, time_encoder

    rows = []
    for row in [describe(name) for name in only] if only else list_encoders():
        shown = dict(vars(row))
        if row.fingerprint and not as_json:
            shown["fingerprint"] = row.fingerprint[:12]
        if timed:
            ready = row.dim is not None and row.status == "ready"
            speed = time_encoder(get_encoder(row.name)) if ready else None
            shown["per_second"] = round(speed, 1) if speed else None
        rows.append(shown)
    print_rows(rows, as_json)


@app.command()
def doctor(
    repo: Repo = Path(),
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for errors.")] = False,
    junit: Annotated[
        Path | None, typer.Option(help="Write what was found to this file, too, as JUnit XML.")
    ] = None,
) -> None:
    """Check a Feast repo for what would go wrong later; code 1 if something would.

    Example: deepfeast doctor --repo feature_repo --strict --junit doctor.xml
    """
    from deepfeast.pipelines.doctor import checks, diagnose, exit_status, render
    from deepfeast.pipelines.junit import write_junit

    findings = diagnose(open_repo(repo))
    print(json.dumps([vars(f) for f in findings], indent=2) if as_json else render(findings))
    if junit:
        write_junit(junit, "deepfeast doctor", checks(findings, strict))
    raise typer.Exit(exit_status(findings, strict))


@app.command()
def workers(
    port: Annotated[int, typer.Option(help="Port that the engine finds the pool at.")] = 50000,
    host: Annotated[
        str,
        typer.Option(help="Address to listen at. Whoever reaches it can run code here."),
    ] = "localhost",
) -> None:
    """Keep workers for the jobs of an engine beside it, with networks that stay loaded.

    Example: deepfeast workers --port 50000
    """
    from deepfeast.pipelines.workers import serve

    server, found = serve(f"{host}:{port}")
    print(f"workers: --environment_type=EXTERNAL --environment_config={host}:{found}", flush=True)
    server.wait_for_termination()


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to work in.")] = Path("demo"),
    listings: Annotated[int, typer.Option(min=200, help="How many listings to generate.")] = 2400,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 7,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", help="Real rows instead: a folder with listings.csv and its photos."
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(help="Encoder of the photos, e.g. hf:/a/folder. With --folder only."),
    ] = None,
) -> None:
    """Run the whole job on a generated marketplace, or on real listings.

    Example: deepfeast demo --folder ../shared/data/listings
    """
    from deepfeast.pipelines.demo import run_demo

    run_demo(out, listings, seed, folder, images)


if __name__ == "__main__":
    main()
