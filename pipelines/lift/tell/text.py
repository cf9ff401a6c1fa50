"""The verdict on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.measure.comparison import Comparison
from deepfeast.pipelines.lift.measure.stats import FEWEST_SPLITS
from deepfeast.pipelines.lift.tell.words import findings, headline

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.comparison import Outcome
    from deepfeast.pipelines.lift.measure.result import LiftResult

COLOURS = {"helps": "green", "hurts": "red", "borderline": "cyan", "no evidence": "yellow"}


def show(what: Comparison | LiftResult, console: Any = None) -> None:
    """Print one table a model; of a whole result also the alarms, and the answer last.

    Parameters
    ----------
    what : Comparison or LiftResult
        What `compare` or `run_lift` returned.
    console : rich.console.Console, optional
        By default the terminal.
    """
    from rich.console import Console

    console = console or Console()
    if isinstance(what, Comparison):
        _show_comparison(what, console)
    else:
        _show_result(what, console)


def _show_comparison(comparison: Comparison, console: Any) -> None:
    problem = comparison.problem
    for model in comparison.models:
        console.print(_table(comparison, model))
    console.print(
        f"{problem.metric} of {problem.goal} on {len(problem.y)} rows, up to "
        f"{len(comparison.splits)} splits; intervals at 95 %, verdicts corrected for all "
        f"{comparison.questions} questions; "
        f"'seen from' is the smallest lift that these rows would have shown."
    )
    for note in [*problem.notes, *comparison.notes]:
        console.print(f"• {note}")


def _show_result(result: LiftResult, console: Any) -> None:
    """Put alarms and the answer below the tables, where the eye ends up."""
    _show_comparison(result.comparison, console)
    for note in result.notes:
        console.print(f"• {note}")
    for alarm in result.alarms:
        console.print(f"[bold yellow]! {alarm.kind}:[/] {alarm.text}", highlight=False)
    console.print()
    for finding in findings(result.comparison):
        colour = COLOURS.get(finding.word, "dim")
        console.print(
            f"[{colour}]{finding.word:>11}[/]  [bold]{finding.feature}[/]: {finding.sentence}",
            highlight=False,
        )
    console.print(f"\n[bold]{headline(result.comparison)}[/]", highlight=False)


def _table(comparison: Comparison, model: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title=model, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("columns", min_width=20)
    for name in ("score", "lift ± 95 %", "wins", "seen from"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", min_width=11)
    for outcome in comparison.outcomes:
        if outcome.model == model or outcome.arm.kind == "alone":
            table.add_row(*_cells(outcome))
    return table


def _cells(outcome: Outcome) -> list[str]:
    if outcome.failed:
        return [outcome.arm.label, "", "", "", "", f"failed: {outcome.failed}"]
    cells = [outcome.arm.label, f"{outcome.score:.3f}"]
    lift = outcome.lift
    if lift is None:
        return [*cells, "", "", "", ""]
    reach = f" ±{lift.high - lift.mean:.3f}" if lift.splits > FEWEST_SPLITS else ""
    cells.append(f"{lift.mean:+.3f}{reach}")
    cells += [
        f"{lift.wins}/{lift.splits}",
        f"{outcome.detectable:.3f}" if outcome.detectable else "",
    ]
    word = outcome.verdict or "(control)"
    colour = COLOURS.get(word, "dim")
    return [*cells, f"[{colour}]{word}[/]"]
