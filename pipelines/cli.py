"""The ``deepfeast`` command.

Each command is a thin skin over one function of the library.
"""

from __future__ import annotations

import json
import platform
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from deepfeast.pipelines.command import Commands, run_commands
from deepfeast.pipelines.forget.cli import forget
from deepfeast.pipelines.lift.cli import lift
from deepfeast.pipelines.search.cli import duplicates, search, similar
from deepfeast.pipelines.terminal import open_repo, print_rejects, print_rows, print_run, say, shown
from deepfeast.transforms.errors import FeatureNotFound

app = Commands(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Repo = Annotated[
    Path, typer.Option("--repo", "-c", help="The Feast repo: the folder of feature_store.yaml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
View = Annotated[str, typer.Argument(help="Name of a deep feature view.")]


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

    Declare them in a Feast repo, run `feast apply`, then `deepfeast embed`.
    """


def main() -> None:
    """Run the command."""
    run_commands(app)


@app.command()
def embed(
    views: Annotated[
        list[str] | None,
        typer.Argument(help="Deep feature views; all of them by default. Beam options after --."),
    ] = None,
    repo: Repo = Path(),
    since: Annotated[
        datetime | None,
        typer.Option(help="Only rows with an event time from here on (UTC)."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(help="Only rows with an event time before this (UTC)."),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Write a new version of the table beside the old.")
    ] = False,
    allowed_rejects: Annotated[
        float, typer.Option(min=0, max=1, help="Largest share of values that may be rejected.")
    ] = 0.05,
    metrics: Annotated[
        Path | None, typer.Option(help="Write what was done to this file, too, for Prometheus.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the embed job: raw table to embedding table, one commit a run.

    Example: deepfeast embed listing_deep --repo feature_repo -- --direct_num_workers=2
    """
    from deepfeast.pipelines.embed import embed as embed_view
    from deepfeast.pipelines.metrics import Metrics
    from deepfeast.transforms.features import deep_spec

    names, options = _split(views or [])
    store = open_repo(repo)
    names = names or [view.name for view in store.list_feature_views() if deep_spec(view)]
    if not names:
        raise FeatureNotFound(
            f"the repo {repo} declares no deep feature view. Run feast apply first."
        )
    runs = []
    numbers = Metrics(metrics, store.project)
    for name in names:
        with shown(name, quiet=as_json) as progress:
            runs.append(
                embed_view(
                    store,
                    name,
                    since=since,
                    until=until,
                    rebuild=rebuild,
                    allowed_rejects=allowed_rejects,
                    options=options,
                    progress=progress,
                )
            )
        numbers.embedded(runs[-1])
        if not as_json:
            print_run(runs[-1])
    if as_json:
        print(json.dumps([run.to_dict() for run in runs], indent=2))


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Tell view names from the Beam options that follow them."""
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    return words[:first], words[first:]


@app.command()
def runs(view: View, repo: Repo = Path(), as_json: AsJson = False) -> None:
    """List the runs that were published, newest first.

    Example: deepfeast runs listing_deep --repo feature_repo
    """
    table = _table(repo, view)
    rows = [
        {
            "version": commit.version,
            "time": commit.time.isoformat(timespec="seconds"),
            "kind": commit.kind,
            "run": commit.meta["run_id"],
            # A rollback or a compacting has counted nothing itself.
            **{
                what: n if commit.kind == "run" else None
                for what, n in commit.meta["counts"].items()
            },
        }
        for commit in table.commits()
    ]
    print_rows(rows, as_json)


@app.command()
def rejects(
    view: View,
    repo: Repo = Path(),
    history: Annotated[
        bool, typer.Option("--all", help="Also those that were mended since.")
    ] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of text.")] = False,
) -> None:
    """Show the values that could not be encoded and still are not mended, by reason.

    Example: deepfeast rejects listing_deep --all --repo feature_repo
    """
    from deepfeast.transforms.embeddings.rejects import read_rejects, standing_rejects

    table = _table(repo, view)
    table.must_exist()
    found = (read_rejects if history else standing_rejects)(table)
    print_rejects(view, found, as_json=as_json, as_csv=as_csv)


@app.command()
def versions(view: View, repo: Repo = Path(), as_json: AsJson = False) -> None:
    """List the versions of the embedding table: one for each rebuild.

    Example: deepfeast versions listing_deep --repo feature_repo
    """
    from deepfeast.transforms.embeddings.versions import list_versions

    rows = [
        {
            "version": version.number,
            "current": "yes" if version.current else "",
            "rows": version.rows,
            "from": f"{version.first:%Y-%m-%d %H:%M}",
            "to": f"{version.last:%Y-%m-%d %H:%M}",
            "fingerprints": ", ".join(f"{k} {v[:12]}" for k, v in version.fingerprints.items()),
        }
        for version in list_versions(_table(repo, view))
    ]
    print_rows(rows, as_json)


Number = Annotated[int, typer.Argument(help="Number of a version, from deepfeast versions.")]


@app.command()
def rollback(view: View, version: Number, repo: Repo = Path()) -> None:
    """Make an earlier version of the embedding table current again.

    Example: deepfeast rollback listing_deep 1 --repo feature_repo
    """
    from deepfeast.transforms.embeddings.versions import rollback as roll_back

    roll_back(_table(repo, view), version)
    say(
        f"{view}: version {version} is current. Training reads it from now on; run feast "
        f"materialize to bring it online, and declare its encoder before the next embed."
    )


Hours = Annotated[
    float,
    typer.Option(min=0, help="How long replaced files stay for readers that have them open."),
]


@app.command()
def compact(view: View, repo: Repo = Path(), keep_hours: Hours = 24.0) -> None:
    """Write the small files of many runs into few large ones; no row changes.

    Example: deepfeast compact listing_deep --repo feature_repo
    """
    from deepfeast.transforms.embeddings.compact import compact as compact_table

    done = compact_table(_table(repo, view), timedelta(hours=keep_hours))
    say(f"{view}: {done}")


@app.command()
def vacuum(
    view: View,
    repo: Repo = Path(),
    drop: Annotated[
        int | None,
        typer.Option(help="Also delete this version, for good."),
    ] = None,
    keep_hours: Hours = 24.0,
) -> None:
    """Delete what no version needs: leftovers, replaced files; on request a version.

    Example: deepfeast vacuum listing_deep --drop 1 --repo feature_repo
    """
    from deepfeast.transforms.embeddings.vacuum import vacuum as sweep

    say(f"{view}: {sweep(_table(repo, view), drop, timedelta(hours=keep_hours))}")


def _table(repo: Path, view: str) -> Any:
    """Find the embedding table of a view; without Feast, where the registry is a file."""
    from deepfeast.transforms.embeddings.table import EmbeddingTable, embedding_table
    from deepfeast.transforms.feast_api import read_registry
    from deepfeast.transforms.views import find_deep_view

    registry: Any = read_registry(repo)
    if registry:
        found: Any = find_deep_view(registry, view)[0]
        if "://" not in found.uri:
            return EmbeddingTable(found.uri, view)
    store = open_repo(repo)
    return embedding_table(store, find_deep_view(store, view)[0])


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
def verify(
    view: Annotated[str, typer.Argument(help="Name of a feature view, deep or not.")],
    repo: Repo = Path(),
    sample: Annotated[
        int | None, typer.Option(min=1, help="Compare that many keys instead of all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the online store with the latest rows of a view's table; code 1 if they differ.

    Example: deepfeast verify listing_deep --sample 10000 --repo feature_repo
    """
    from deepfeast.pipelines.materialize.verify import verify as compare

    found = compare(open_repo(repo), view, sample=sample)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print(found)
        print_rows(found.rows(20), as_json=False)
    raise typer.Exit(not found.equal)


app.command()(lift)
app.command()(forget)
app.command()(similar)
app.command()(search)
app.command()(duplicates)


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
