"""The ``deepfeast drift`` command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfeast.pipelines.command import AsJson, Repo
from deepfeast.pipelines.terminal import log, open_repo, print_rows, say

if TYPE_CHECKING:
    from deepfeast.pipelines.drift.answer import Drift


def drift(
    view: Annotated[str, typer.Argument(help="Name of a deep feature view.")],
    reference: Annotated[
        str,
        typer.Option(help="The usual rows: 2024-01-01..2024-03-31, UTC.", show_default=False),
    ],
    recent: Annotated[
        str, typer.Option(help="The rows to look at: 2024-04-01.., say.", show_default=False)
    ],
    repo: Repo = Path(),
    groups: Annotated[
        str | None,
        typer.Option(help="Column of what belongs together, e.g. the seller; or a file of groups."),
    ] = None,
    feature: Annotated[
        list[str] | None, typer.Option(help="Of these features only; by default of all.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Parquet or CSV file to learn --target from: does it move that?"),
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column of the labels.")] = None,
    alpha: Annotated[
        float, typer.Option(help="The share of unchanged windows in which it may ring.")
    ] = 0.05,
    count: Annotated[
        int, typer.Option("--count", "-k", min=1, help="How many unusual rows are shown.")
    ] = 10,
    seed: Annotated[int, typer.Option(help="Draws the exchanges.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Write a page with pictures to this file, too.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write the tests to this file, too, as JUnit XML.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two windows of time; code 1 if they differ by more than luck.

    Example: deepfeast drift listing_deep --reference ..2024-03-31 --recent 2024-04-01.. -c repo
    """
    store = open_repo(repo)
    from deepfeast.pipelines.drift.run import drift as compare
    from deepfeast.pipelines.lift.run import read_labels

    found = compare(
        store,
        view,
        reference,
        recent,
        groups=groups,
        features=feature or (),
        labels=read_labels(labels) if labels else None,
        target=target,
        alpha=alpha,
        count=count,
        seed=seed,
    )
    if out:
        from deepfeast.pipelines.drift.page import render_drift

        out.write_text(render_drift(found), encoding="utf-8")
    if junit:
        _write_junit(found, junit)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
    else:
        _tell(found, out)
    raise typer.Exit(found.alarm)


def _tell(found: Drift, out: Path | None) -> None:
    from deepfeast.pipelines.drift.answer import BLIND

    say(str(found))
    print_rows(found.rows(), as_json=False)
    if rows := found.loudest:
        say(f"most unlike the reference, by {rows[0].feature}:")
        print_rows([row.row() for row in rows], as_json=False)
    say(f"It cannot see: {'; '.join(BLIND)}.")
    for note in found.notes:
        log.warning(note)
    if out:
        say(f"page: {out}")


def _write_junit(found: Drift, path: Path) -> None:
    from deepfeast.pipelines.drift.answer import ASKED
    from deepfeast.pipelines.junit import Check, write_junit

    checks = [
        Check(
            f"{test.feature}: {ASKED[test.change.question]}",
            f"p = {test.p:.4f}, {test.told}" if test.alarm else "",
            f"p = {test.p:.4f}, {test.told}",
        )
        for test in found.tests
    ]
    write_junit(path, "deepfeast drift", checks)
