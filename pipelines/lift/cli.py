"""The ``deepfeast lift`` command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Storage(StrEnum):
    """What vectors can be kept as, other than float32."""

    int8 = "int8"


class Required(StrEnum):
    """What a verdict can be required to be."""

    helps = "helps"


def lift(
    labels: Annotated[
        Path,
        typer.Argument(
            help="Parquet or CSV file: entity keys, event_timestamp and the target.",
            show_default=False,
        ),
    ],
    target: Annotated[str, typer.Option(help="Column to predict.", show_default=False)],
    service: Annotated[
        list[str],
        typer.Option(
            help="Feature service of the model; give it twice to put two together.",
            show_default=False,
        ),
    ],
    repo: Annotated[
        Path, typer.Option("--repo", "-c", help="The Feast repo: the folder of feature_store.yaml.")
    ] = Path(),
    out: Annotated[
        Path, typer.Option(help="Folder for the report: lift.html and lift.json.")
    ] = Path("lift"),
    groups: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of what belongs together, e.g. the seller, or a file of groups; never "
            "split. Repeat it for several.",
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(help="Column of moments: test on rows later than those learned from."),
    ] = None,
    columns: Annotated[
        str, typer.Option(help="Columns of the labels that the model gets too, by commas.")
    ] = "",
    model: Annotated[
        list[str] | None,
        typer.Option(
            help='xgboost, "random forest", lightgbm, catboost, or your own estimator as '
            "module:factory. Repeat it for several. Default: the first two.",
        ),
    ] = None,
    allow_pickle: Annotated[
        Path | None,
        typer.Option(help="Your estimator, as a pickle. It runs code: only files you trust."),
    ] = None,
    encoders: Annotated[
        str, typer.Option(help="Other encoders to compare on the same column, by commas.")
    ] = "",
    column: Annotated[
        str | None,
        typer.Option(help="The raw column that --encoders read, where several could."),
    ] = None,
    storage: Annotated[
        Storage | None,
        typer.Option(help="Ask what it costs to keep the vectors so: an arm beside each."),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(help="Draw so many labels at random, where there are many."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="regression, binary or multiclass. Default: found out from the target."),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="A scikit-learn scorer. Default: r2, roc_auc or accuracy."),
    ] = None,
    log_target: Annotated[
        bool, typer.Option("--log-target", help="Predict the target's logarithm.")
    ] = False,
    forms: Annotated[
        str,
        typer.Option(
            help="Forms in which vectors join: columns, probe, pca, raw, pca+probe.",
            show_default="all but the last",
        ),
    ] = "",
    repeats: Annotated[
        int, typer.Option(min=1, help="Rounds of folds drawn before clear arms stop.")
    ] = 2,
    most_repeats: Annotated[
        int, typer.Option(min=1, help="Rounds of folds drawn at most, for arms that are not clear.")
    ] = 6,
    folds: Annotated[int, typer.Option(min=2, help="Folds.")] = 5,
    name: Annotated[str, typer.Option(help="Name of the data set, for the report.")] = "",
    seed: Annotated[int, typer.Option(help="Draws the folds.")] = 0,
    require: Annotated[
        Required | None,
        typer.Option(help="End with code 1 unless a deep feature helps one of the models."),
    ] = None,
    min_lift: Annotated[
        float | None,
        typer.Option(help="With --require: by so much of the metric at least."),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(help="Write the verdict to this file, too, as JUnit XML."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Do deep features help this model, by how much, and how sure is that?

    Trains the model with and without each deep feature on the same splits, and writes a page
    with the verdict. "No evidence" is a normal answer.

    Example:

        deepfeast lift labels.parquet --service price_model --target price --groups seller_id
    """
    from rich.console import Console

    from deepfeast.pipelines.junit import Check, write_junit
    from deepfeast.pipelines.lift.ask.arms import FORMS
    from deepfeast.pipelines.lift.ask.models import named_models
    from deepfeast.pipelines.lift.ask.question import Question
    from deepfeast.pipelines.lift.run import run_lift
    from deepfeast.pipelines.lift.tell.gate import shortfall
    from deepfeast.pipelines.lift.tell.save import as_dict
    from deepfeast.pipelines.lift.tell.text import show
    from deepfeast.pipelines.lift.tell.words import findings, headline
    from deepfeast.pipelines.terminal import log, shown

    if min_lift is not None and require is None:
        raise typer.BadParameter("--min-lift goes with --require helps.")
    question = Question(
        target,
        groups,
        time,
        task=task,
        metric=metric,
        log_target=log_target,
        representations=_names(forms) or FORMS,
        repeats=repeats,
        most_repeats=most_repeats,
        folds=folds,
        seed=seed,
        name=name,
    )
    with _interruptible(out), shown("lift", share=True) as progress:
        result = run_lift(
            repo,
            labels,
            question,
            service=service[0] if len(service) == 1 else service,
            out=out,
            columns=_names(columns),
            models=named_models(model or [], allow_pickle),
            encoders=_names(encoders),
            column=column,
            storage=storage and storage.value,
            max_rows=rows,
            progress=lambda what, done, total: progress("fit", done, total),
        )
    if as_json:
        print(json.dumps(as_dict(result), indent=1))
    else:
        show(result, Console())
        print(f"\n{out / 'lift.html'}")
    lacking = shortfall(result.comparison, min_lift) if require else ""
    if junit:
        told = "\n".join(one.sentence for one in findings(result.comparison))
        name = f"{target}: {require or headline(result.comparison)}"
        write_junit(junit, "deepfeast lift", [Check(name, lacking, told)], result.seconds)
    if lacking:
        log.error(f"lift: {lacking}")
        raise typer.Exit(1)


@contextmanager
def _interruptible(out: Path) -> Iterator[None]:
    """Say what is kept where somebody interrupts."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(f"No report was written; what --encoders had encoded is kept in {out}.")
        raise


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
