"""The ``deepfeast try``, ``init`` and ``run`` commands."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepfeast.pipelines.command import AsJson, Repo
from deepfeast.pipelines.terminal import print_run, say, shown

if TYPE_CHECKING:
    from deepfeast.pipelines.start.look import Look
    from deepfeast.pipelines.start.plan import Asked, Doubt, Proposal
    from deepfeast.pipelines.start.repo import Encoders
    from deepfeast.pipelines.start.table import Table

# Bytes from which on a look takes so long that one wants to see it go on.
LARGE = 100_000_000
Target = Annotated[str | None, typer.Option(help="Column to predict.")]
Id = Annotated[
    str | None, typer.Option("--id", help='Column whose values name the rows, or "none".')
]
Time = Annotated[str | None, typer.Option(help='Column of when a row was as it stands, or "none".')]
Groups = Annotated[
    str | None, typer.Option(help='Column of what belongs together, e.g. the seller, or "none".')
]
Texts = Annotated[list[str] | None, typer.Option("--text", help="Take this column for texts.")]
Photos = Annotated[list[str] | None, typer.Option("--photo", help="Take this one for photos.")]
Categories = Annotated[
    list[str] | None, typer.Option("--category", help="Take this one for a category.")
]
Skip = Annotated[list[str] | None, typer.Option(help="Leave this column out.")]
Root = Annotated[
    Path | None, typer.Option("--photos-root", help="Folder that paths of photos begin in.")
]
Hosts = Annotated[
    list[str] | None, typer.Option("--allow-host", help="Fetch photos from this host.")
]
TextEncoder = Annotated[str, typer.Option(help="Who reads the texts.")]
ImageEncoder = Annotated[str, typer.Option(help="Who reads the photos.")]
Cache = Annotated[
    Path | None,
    typer.Option(help="Folder that deepfeast try keeps things in.", show_default="TABLE.deepfeast"),
]
LogTarget = Annotated[
    bool | None,
    typer.Option(
        "--log-target/--no-log-target",
        help="Predict the target's logarithm. Default: where it is skewed.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what is usual.")]


def try_(
    table: Annotated[Path, typer.Argument(help="One CSV or Parquet file.", show_default=False)],
    target: Target = None,
    key: Id = None,
    time: Time = None,
    groups: Groups = None,
    text: Texts = None,
    photo: Photos = None,
    category: Categories = None,
    skip: Skip = None,
    photos_root: Root = None,
    allow_host: Hosts = None,
    text_encoder: TextEncoder = "text-tiny",
    image_encoder: ImageEncoder = "image-tiny",
    log_target: LogTarget = None,
    rows: Annotated[
        int, typer.Option(min=30, help="Draw so many rows at random, where there are more.")
    ] = 3000,
    cache: Cache = None,
    seed: Annotated[int, typer.Option(help="Draws rows and folds.")] = 0,
    yes: Yes = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Would texts and photos help to predict a column? One file in, a verdict out.

    It says what each column is taken for and why, embeds texts and photos into a cache beside the
    file, and trains models with and without them. Killed and run again, it goes on.

    Example: deepfeast try listings.csv --target price
    """
    from deepfeast.pipelines.start.tell import encoder_line, init_command
    from deepfeast.pipelines.start.trial import cache_folder, check_answerable, try_table

    opened, look, proposal, asked, encoders = _read(
        table,
        _asked(
            (target, key, time, groups),
            (text, photo, category, skip),
            photos_root,
            allow_host,
            log_target,
        ),
        (text_encoder, image_encoder),
        yes,
        as_json,
    )
    check_answerable(opened, look, proposal)
    if not as_json:
        say(encoder_line(proposal, encoders))
        if look.rows > rows:
            say(f"The verdict is on {rows:,} of the {look.rows:,} rows, drawn at random (--rows).")
    kept = cache or cache_folder(table)
    trial = try_table(
        opened,
        look,
        proposal,
        encoders,
        cache=kept,
        rows=rows,
        seed=seed,
        shown=lambda title, **how: shown(title, quiet=as_json, **how),
        told=None if as_json else print_run,
    )
    if as_json:
        from deepfeast.pipelines.lift.tell.save import as_dict

        print(json.dumps(as_dict(trial.result), indent=1))
        return
    from rich.console import Console

    from deepfeast.pipelines.lift.tell.text import show

    show(trial.result, Console())
    print(f"\nThe whole verdict, to look at:\n  {trial.page}")
    print("A Feast repo of this table, to go on with:")
    print(f"  {init_command(table, proposal.plan.name, asked, encoders, cache)}")
    if open_page:
        typer.launch(str(trial.page.resolve()))


def init(
    folder: Annotated[Path, typer.Argument(help="A new folder, or a Feast repo.", metavar="DIR")],
    table: Annotated[Path, typer.Option(help="One CSV or Parquet file.", show_default=False)],
    target: Target = None,
    key: Id = None,
    time: Time = None,
    groups: Groups = None,
    text: Texts = None,
    photo: Photos = None,
    category: Categories = None,
    skip: Skip = None,
    photos_root: Root = None,
    allow_host: Hosts = None,
    text_encoder: TextEncoder = "text-tiny",
    image_encoder: ImageEncoder = "image-tiny",
    log_target: LogTarget = None,
    cache: Cache = None,
    yes: Yes = False,
) -> None:
    """Write a Feast repo for a table: declarations, data, a nightly script, its own README.

    In a Feast repo it adds files beside yours, overwrites none, and says what to merge. Vectors
    that deepfeast try has made of the table are taken over.

    Example: deepfeast init shop_repo --table listings.csv --target price
    """
    from deepfeast.pipelines.start.repo import example_keys, write_repo
    from deepfeast.pipelines.start.take_over import take_over
    from deepfeast.pipelines.start.trial import cache_folder
    from deepfeast.pipelines.start.write import rows_file, write_data
    from deepfeast.transforms.errors import LiftError

    asked = _asked(
        (target or "none", key, time, groups),
        (text, photo, category, skip),
        photos_root,
        allow_host,
        log_target,
    )
    opened, look, proposal, _, encoders = _read(
        table, asked, (text_encoder, image_encoder), yes, quiet=False
    )
    if not (proposal.plan.texts or proposal.plan.photos):
        raise LiftError(
            f"no column of {table.name} is of texts or photos, so there is nothing to embed. Name "
            f"one with --text or --photo."
        )
    repo = write_repo(folder, opened, proposal, encoders)
    try:
        with shown("table") as report:
            written = write_data(
                opened,
                repo.plan,
                folder / "data",
                progress=lambda read: report("Read", min(read, look.rows), look.rows),
            )
    except KeyboardInterrupt as stop:
        name = shlex.quote(str(folder / f"{repo.plan.name}_prepare.py"))
        stop.add_note(f"The repo in {folder} is whole but for its data: python {name} writes them.")
        raise
    say(f"{rows_file(repo.plan, folder / 'data')}: {written}")
    taken = take_over(repo, encoders, cache or cache_folder(table))
    if taken:
        say(f"{taken:,} vectors of deepfeast try are taken over, and not computed again.")
    say(f"Written in {folder}: {', '.join(repo.files)}")
    if repo.merge:
        say("To merge by hand:")
        for line in repo.merge:
            say(f"  {line}")
    say("Next:")
    for line in repo.commands(example_keys(repo)[0]):
        print(f"  {line}")


def run(
    repo: Repo = Path(),
    allowed_rejects: Annotated[
        float, typer.Option(min=0, max=1, help="Largest share of values that may be rejected.")
    ] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Apply the declarations, embed what is new, bring it online: feast apply to materialize.

    Example: deepfeast run --repo shop_repo
    """
    from deepfeast.pipelines.start.run import run_repo

    done = run_repo(
        repo,
        allowed_rejects=allowed_rejects,
        progress=lambda title: shown(title, quiet=as_json),
        told=None if as_json else print_run,
    )
    if as_json:
        print(json.dumps(done.to_dict(), indent=2))
        return
    took = ", ".join(f"{step} {seconds:.0f} s" for step, seconds in done.seconds.items())
    say(f"Online: {', '.join(done.views) or 'no view'} ({took})")


def _asked(
    single: tuple[str | None, str | None, str | None, str | None],
    several: tuple[list[str] | None, ...],
    photos_root: Path | None,
    hosts: list[str] | None,
    log_target: bool | None,
) -> Asked:
    from deepfeast.pipelines.start.plan import Asked

    target, key, time, groups = single
    texts, photos, categories, skip = (tuple(names or ()) for names in several)
    return Asked(
        target,
        key,
        time,
        groups,
        texts,
        photos,
        categories,
        skip,
        photos_root and photos_root.expanduser().resolve(),
        tuple(hosts or ()),
        log_target,
    )


def _read(
    path: Path, asked: Asked, encoders: tuple[str, str], yes: bool, quiet: bool
) -> tuple[Table, Look, Proposal, Asked, Encoders]:
    """Look at a table, say what it is taken for, and ask what cannot be told."""
    from deepfeast.pipelines.start.look import look_at
    from deepfeast.pipelines.start.propose import propose
    from deepfeast.pipelines.start.repo import Encoders
    from deepfeast.pipelines.start.table import open_table
    from deepfeast.pipelines.start.tell import answered, proposal_lines
    from deepfeast.transforms.encoders import get_encoder

    table = open_table(path)
    small = path.stat().st_size < LARGE
    with shown("look at the table", quiet=quiet or small, share=not small) as report:
        look = look_at(table, lambda rows: report("Read", int(1000 * table.share), 1000))
    proposal = propose(table, look, asked)
    asks = _ask if sys.stdin.isatty() and sys.stderr.isatty() and not yes and not quiet else None
    settled, any_answer = answered(proposal.doubts, asked, asks)
    if any_answer:
        proposal = propose(table, look, settled)
    if not quiet:
        for line in proposal_lines(table, look, proposal):
            say(line)
    networks = Encoders(*encoders)
    for named, wanted in (
        (networks.text, proposal.plan.texts),
        (networks.image, proposal.plan.photos),
    ):
        if wanted:
            get_encoder(named)
    return table, look, proposal, settled, networks


def _ask(doubt: Doubt) -> str:
    """Ask a person on the terminal, until there is an answer."""
    typer.echo(doubt.question, err=True)
    for number, option in enumerate(doubt.options, start=1):
        typer.echo(f"  {number}  {option}", err=True)
    usual: Any = doubt.options.index(doubt.usual) + 1 if doubt.usual else None
    while True:
        chosen: int = typer.prompt("Number", default=usual, type=int, err=True)
        if 1 <= chosen <= len(doubt.options):
            return doubt.options[chosen - 1]
        typer.echo(f"A number from 1 to {len(doubt.options)}.", err=True)
