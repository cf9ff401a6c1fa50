"""The ``deepfeast embed`` command."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from deepfeast.pipelines.command import AsJson, Repo
from deepfeast.pipelines.terminal import open_repo, print_run, say, shown
from deepfeast.transforms.errors import FeatureNotFound


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
    reread: Annotated[
        bool, typer.Option("--reread", help="Read files, too, that have not changed since.")
    ] = False,
    allowed_rejects: Annotated[
        float, typer.Option(min=0, max=1, help="Largest share of values that may be rejected.")
    ] = 0.05,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what a run would do and take; write nothing.")
    ] = False,
    metrics: Annotated[
        Path | None, typer.Option(help="Write what was done to this file, too, for Prometheus.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the embed job: raw table to embedding table, one commit a run.

    Example: deepfeast embed listing_deep --repo feature_repo -- --direct_num_workers=2

    Example: deepfeast embed listing_deep --repo feature_repo --plan
    """
    from deepfeast.pipelines.embed import embed as embed_view
    from deepfeast.pipelines.embed.forecasting import forecast
    from deepfeast.pipelines.metrics import Metrics
    from deepfeast.transforms.features import deep_spec

    names, options = _split(views or [])
    store = open_repo(repo)
    names = names or [view.name for view in store.list_feature_views() if deep_spec(view)]
    if not names:
        raise FeatureNotFound(
            f"the repo {repo} declares no deep feature view. Run feast apply first."
        )
    if plan:
        plans = []
        for name in names:
            with shown(name, quiet=as_json) as progress:
                plans.append(
                    forecast(
                        store,
                        name,
                        since=since,
                        until=until,
                        rebuild=rebuild,
                        reread=reread,
                        progress=progress,
                    )
                )
            if not as_json:
                say(plans[-1].summary())
        if as_json:
            print(json.dumps([found.to_dict() for found in plans], indent=2))
        return
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
                    reread=reread,
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
