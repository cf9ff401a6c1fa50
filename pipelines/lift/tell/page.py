"""The lift report: one HTML file that needs nothing but a browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.ask.arms import HOW
from deepfeast.pipelines.lift.measure.directions import flat_map
from deepfeast.pipelines.lift.measure.errors import error_unit
from deepfeast.pipelines.lift.measure.insights import insight_arm
from deepfeast.pipelines.lift.measure.segments import short_number
from deepfeast.pipelines.lift.tell import plots
from deepfeast.pipelines.lift.tell.contents import shown_content
from deepfeast.pipelines.lift.tell.contribution_plot import contribution_plot, contribution_words
from deepfeast.pipelines.lift.tell.look import hours, moved_words
from deepfeast.pipelines.lift.tell.occluded import css as occluded_css
from deepfeast.pipelines.lift.tell.occluded import drawn as part_drawing
from deepfeast.pipelines.lift.tell.segment_plot import segment_plot
from deepfeast.pipelines.lift.tell.units import amount
from deepfeast.pipelines.lift.tell.words import ALL, findings, headline, signed
from deepfeast.pipelines.templates import html_templates

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.comparison import Comparison, Outcome
    from deepfeast.pipelines.lift.measure.directions import Direction
    from deepfeast.pipelines.lift.measure.result import LiftResult

TEMPLATES = Path(__file__).parent / "templates"
WORDS = ("helps", "hurts", "borderline", "no evidence")


@dataclass(frozen=True)
class Plot:
    """One figure: the SVG, its title, and what it says to those who do not see it."""

    svg: str
    title: str
    words: str


def render(result: LiftResult) -> str:
    """Write the page: no link to elsewhere, and without its script nothing but sorting is lost.

    Parameters
    ----------
    result : LiftResult

    Returns
    -------
    str
        A complete HTML document, under 3 MB.
    """
    comparison = result.comparison
    environment = html_templates(TEMPLATES)
    environment.filters["signed"] = signed
    environment.filters["short"] = short_number
    environment.filters["hours"] = hours
    return environment.get_template("lift.html").render(
        result=result,
        comparison=comparison,
        problem=comparison.problem,
        css=(TEMPLATES / "lift.css").read_text(encoding="utf-8") + occluded_css(),
        js=(TEMPLATES / "lift.js").read_text(encoding="utf-8"),
        headline=headline(comparison),
        cards=_cards(comparison),
        tables=[(model, _rows(comparison, model)) for model in comparison.models],
        forms=HOW,
        lifts=lift_plots(comparison),
        behind=plots_behind(result),
        maps=direction_maps(comparison),
        examples=_examples(result),
        segments=_segments(result),
        moved=_moved(result),
        responses=_responses(result),
        inside=insight_arm(comparison),
        alone=[o for o in comparison.outcomes if o.arm.kind == "alone" and not o.failed],
    )


def _cards(comparison: Comparison) -> list[dict[str, Any]]:
    """Gather the findings, one card a feature."""
    found = findings(comparison)
    cards = []
    for feature in dict.fromkeys(one.feature for one in found):
        mine = [one for one in found if one.feature == feature]
        words = {one.word for one in mine}
        word = next((w for w in WORDS if w in words), "not run")
        cards.append({"feature": feature, "word": word, "findings": mine, "all": feature == ALL})
    return cards


def _rows(comparison: Comparison, model: str) -> list[Outcome]:
    return [outcome for outcome in comparison.outcomes if outcome.model == model]


def lift_plots(comparison: Comparison) -> list[Plot]:
    """Draw the lift of each arm with its interval, model by model."""
    return [
        Plot(
            plots.lifts(comparison, model),
            f"{model}: lift of each arm",
            f"Lift of each arm of {model} with its interval, as in the table.",
        )
        for model in comparison.models
        if any(outcome.lift for outcome in _rows(comparison, model))
    ]


def plots_behind(result: LiftResult) -> list[Plot]:
    """Draw the learning curve, the importance, and predictions before and after."""
    comparison, problem = result.comparison, result.comparison.problem
    metric, drawn = problem.metric_word, []
    if result.curve:
        words = f"{_ends(result)}. The bands are 95 % intervals."
        curve = plots.learning_curve(result.curve, metric)
        drawn.append(Plot(curve, "Lift against the number of rows", words))
    for model in dict.fromkeys(one.model for one in result.importance):
        first = [one for one in result.importance if one.model == model][:5]
        words = ", ".join(f"{one.feature} {one.drop:.3f}" for one in first)
        picture = plots.importance(result.importance, model, metric)
        drawn.append(Plot(picture, f"{model}: what it relies on", f"Strongest: {words}."))
    unit = "log odds" if problem.classes else problem.goal
    for model in dict.fromkeys(one.model for one in result.contributions):
        owed = [one for one in result.contributions if one.model == model]
        picture = contribution_plot(owed, unit)
        title = f"{model}: what its predictions are made of"
        drawn.append(Plot(picture, title, contribution_words(owed, unit)))
    inside = insight_arm(comparison)
    for model in comparison.models:
        if inside is None:
            break
        before, after = comparison.baseline(model), comparison.outcome(model, inside.label)
        if not before.failed and not after.failed:
            what = "the share of each class found" if problem.classes else "predicted against true"
            words = f"{metric} {before.score:.3f} before, {after.score:.3f} after."
            picture = plots.predictions(problem, before, after)
            drawn.append(Plot(picture, f"{model}: {what}, before and after", words))
    return drawn


def _ends(result: LiftResult) -> str:
    """Say where each model's curve begins and ends."""
    parts = []
    for model in dict.fromkeys(point.model for point in result.curve):
        mine = [point for point in result.curve if point.model == model]
        first, last = mine[0], mine[-1]
        parts.append(
            f"{model}: {first.lift.mean:+.3f} with {first.rows:,} training rows, "
            f"{last.lift.mean:+.3f} with {last.rows:,}"
        )
    return "; ".join(parts)


def direction_maps(comparison: Comparison) -> list[Plot]:
    """Draw the rows along the first two directions of each feature that has enough of them."""
    problem, drawn = comparison.problem, []
    for feature in problem.deep:
        if problem.has_vector[feature].sum() < plots.FEWEST_POINTS:
            continue
        points, rows, share = flat_map(problem, feature)
        drawn.append(
            Plot(
                plots.embedding_map(problem, points, rows, feature),
                feature,
                f"{len(rows)} rows on the first two principal components, which hold {share:.0%} "
                f"of the variance; coloured by {problem.goal}.",
            )
        )
    return drawn


def _segments(result: LiftResult) -> list[dict[str, Any]]:
    """Draw the gain on parts of the rows, and give the same figures as a table."""
    unit = error_unit(result.comparison.problem)
    drawn = []
    for model in dict.fromkeys(segment.model for segment in result.segments):
        mine = [segment for segment in result.segments if segment.model == model]
        best = max(mine, key=lambda segment: segment.gain)
        words = f"Largest gain: {short_number(best.gain)} {unit} where {best.by} is {best.name}."
        plot = Plot(segment_plot(mine, model, unit), f"{model}: gain by segment", words)
        parts = dict.fromkeys(segment.by for segment in mine)
        tables = [(by, [segment for segment in mine if segment.by == by]) for by in parts]
        drawn.append({"model": model, "plot": plot, "tables": tables, "unit": unit})
    return drawn


def _moved(result: LiftResult) -> list[dict[str, Any]]:
    """Gather the rows that moved most, with what can be shown of each."""
    problem = result.comparison.problem

    def said(value: float) -> str:
        return str(problem.classes[int(value)]) if problem.classes else short_number(value)

    return [
        {
            "model": moved.model,
            "words": moved_words(moved, bool(problem.classes)),
            "rows": [
                {
                    "number": int(problem.rows[one.row]),
                    "truth": said(one.truth),
                    "before": said(one.before),
                    "after": said(one.after),
                    "closer": one.closer,
                    "contents": _contents_of(result, one.row),
                }
                for one in moved.rows
            ],
        }
        for moved in result.moved
        if moved.rows
    ]


def _responses(result: LiftResult) -> list[dict[str, Any]]:
    """Draw what features respond to, feature by feature."""
    problem, features = result.comparison.problem, dict[str, list[dict[str, Any]]]()
    for one in result.responses:
        sign = "−" if one.prediction < 0 else ""
        picture = {
            "number": int(problem.rows[one.row]),
            "truth": problem.shown_target(one.row),
            "prediction": f"{one.unit} {sign}{amount(abs(one.prediction))}",
            "drawn": part_drawing(result.contents[one.feature, one.row], one.parts, one.unit),
        }
        features.setdefault(one.feature, []).append(picture)
    return [{"feature": feature, "rows": rows} for feature, rows in features.items()]


def _contents_of(result: LiftResult, row: int) -> list[dict[str, str]]:
    """Show one photo of a row and its longest text."""
    values = [
        result.contents[feature, row]
        for feature in result.comparison.problem.deep
        if (feature, row) in result.contents
    ]
    photos = [shown_content(value) for value in values if isinstance(value, bytes)]
    texts = [value for value in values if isinstance(value, str)]
    return [*photos[:1], *([shown_content(max(texts, key=len))] if texts else [])]


def _examples(result: LiftResult) -> list[dict[str, Any]]:
    """Gather what people are to look at: per feature, the directions that have contents."""
    features: dict[str, list[dict[str, Any]]] = {}
    for direction in result.directions:
        shown = [
            {"target": one.target, **shown_content(result.contents[direction.feature, one.row])}
            for one in direction.examples
            if (direction.feature, one.row) in result.contents
        ]
        if shown:
            features.setdefault(direction.feature, []).append(
                {"title": direction.title, "shown": shown, "strength": direction.strength}
            )
    return [
        {"feature": feature, "directions": parts, "strength": _strength(result.directions, feature)}
        for feature, parts in features.items()
    ]


def _strength(found: list[Direction], feature: str) -> float:
    return max(direction.strength for direction in found if direction.feature == feature)
