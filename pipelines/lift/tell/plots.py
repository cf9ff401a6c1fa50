"""The plots of a lift report, as SVG that follows the page's colours.

Each figure is drawn as wide as a phone, so that its words keep their size there. Colours are
placeholders that become the page's own, light or dark.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.measure.stats import FEWEST_SPLITS

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.measure.comparison import Comparison, Outcome
    from deepfeast.pipelines.lift.measure.insights import CurvePoint, Importance

WIDTH = 5.4  # inches of 72 units: 389 of the page's pixels
COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--faint)",
    "#030303": "var(--line)",
    "#040404": "var(--good)",
    "#050505": "var(--bad)",
    "#060606": "var(--none)",
    "#070707": "var(--accent)",
    "#080808": "var(--second)",
    "#090909": "var(--card)",
}
INK, FAINT, LINE, GOOD, BAD, NONE, ACCENT, SECOND, CARD = COLOURS
# Shape says what colour says, for those who cannot tell the colours apart.
VERDICTS = {
    "helps": (GOOD, "^"),
    "hurts": (BAD, "v"),
    "borderline": (SECOND, "D"),
    "no evidence": (NONE, "o"),
}
SERIES = ((ACCENT, "o", "-"), (SECOND, "s", "--"), (GOOD, "^", "-."), (BAD, "v", ":"))
# After Okabe and Ito (2008), Color Universal Design: told apart with any kind of colour vision.
# Without black and yellow, and the two lightest darkened: at least 3:1 on either page.
CLASSES = ("#0072b2", "#d55e00", "#009e73", "#c873a2", "#bf8400", "#3a9bd0")
SHAPES = "osD^vP"
FEWEST_POINTS = 3
SHOWN_POINTS = 3000


def draw(height: float, paint: Callable[[Any], None], name: str, columns: int = 1) -> str:
    """Paint on fresh axes and return the SVG element.

    Parameters
    ----------
    height : float
        In inches.
    paint : callable
        Takes the axes, or an array of them.
    name : str
        Unique on the page; keeps the ids of two figures apart.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": FAINT,
        "axes.edgecolor": LINE,
        "axes.facecolor": "none",
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        paint(figure.subplots(1, columns))
        text = io.StringIO()
        figure.savefig(text, format="svg", dpi=150, metadata={"Date": None, "Creator": None})
    return _for_the_page(text.getvalue(), re.sub(r"\W", "-", name))


def _for_the_page(svg: str, name: str) -> str:
    """Keep the element alone, let the page size it, and give it the page's colours and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>',
        r'<svg viewBox="\1" aria-hidden="true" xmlns:xlink="http://www.w3.org/1999/xlink">',
        svg,
        count=1,
        flags=re.S,
    )
    # matplotlib writes the family by itself since 3.11, and within "font" before.
    svg = re.sub(r"font: ([^;\"]*?[\d.]+px) [^;\"]+", r"font: \1 var(--font)", svg)
    svg = re.sub(r"font-family: [^;\"]+", "font-family: var(--font)", svg)
    # Ids are unique on the page: those in use get the figure's name, the others go.
    used = set(re.findall(r'(?:url\(|href=")#([\w-]+)', svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    for placeholder, colour in COLOURS.items():
        svg = svg.replace(placeholder, colour)
    return svg


def lifts(comparison: Comparison, model: str) -> str:
    """Draw the lift of every arm of a model, with its interval and that for all arms at once."""
    rows = [o for o in comparison.outcomes if o.model == model and o.lift]

    def paint(axes: Any) -> None:
        axes.axvline(0, color=FAINT, linewidth=1)
        for place, outcome in enumerate(rows):
            _lift_row(axes, -place, outcome)
        axes.set_ylim(-len(rows) + 0.4, 0.75)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"lift in {comparison.problem.metric_word}")
        axes.margins(x=0.02)

    return draw(0.55 + 0.42 * len(rows), paint, f"lifts {model}")


def _lift_row(axes: Any, y: float, outcome: Outcome) -> None:
    lift, reach = outcome.lift, outcome.reach or 0.0
    assert lift is not None
    colour, shape = VERDICTS.get(outcome.verdict or "", (NONE, "o"))
    if outcome.verdict not in (None, "no evidence"):
        axes.plot([lift.mean - reach, lift.mean + reach], [y, y], color=colour, linewidth=1)
    if lift.splits > FEWEST_SPLITS:
        axes.plot([lift.low, lift.high], [y, y], color=colour, linewidth=4, solid_capstyle="butt")
    axes.plot([lift.mean], [y], shape, color=colour, markersize=7.5, markeredgecolor=CARD)
    text = f"{outcome.arm.label}  {lift.mean:+.3f}"
    axes.annotate(
        text,
        (0, y),
        (0, 9),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        fontsize=9.5,
        color=INK,
        va="center",
        bbox={"facecolor": CARD, "edgecolor": "none", "pad": 0.8},
    )


def learning_curve(points: Sequence[CurvePoint], metric: str) -> str:
    """Draw lift against the number of training rows, one line a model."""

    def paint(axes: Any) -> None:
        axes.axhline(0, color=FAINT, linewidth=1)
        models = list(dict.fromkeys(point.model for point in points))
        for place, model in enumerate(models):
            mine = [point for point in points if point.model == model]
            x = np.array([point.rows for point in mine])
            colour, shape, dash = SERIES[place % len(SERIES)]
            low, high = ([getattr(p.lift, end) for p in mine] for end in ("low", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(
                x,
                [p.lift.mean for p in mine],
                marker=shape,
                linestyle=dash,
                color=colour,
                label=model,
                linewidth=2,
            )
        axes.set_xlabel("training rows")
        axes.set_ylabel(f"lift in {metric}")
        axes.set_xlim(left=0)
        axes.legend(frameon=False, loc="best")

    return draw(3.4, paint, "learning curve")


def importance(found: Sequence[Importance], model: str, metric: str) -> str:
    """Draw how much the score falls without each feature, whole embeddings among them."""
    mine = [one for one in found if one.model == model]
    top = mine[:12]
    top += [one for one in mine[12:] if one.deep]

    def paint(axes: Any) -> None:
        y = -np.arange(len(top))
        colours = [ACCENT if one.deep else NONE for one in top]
        axes.barh(y, [one.drop for one in top], color=colours, height=0.62)
        axes.errorbar(
            [one.drop for one in top],
            y,
            xerr=[one.spread for one in top],
            fmt="none",
            ecolor=FAINT,
            elinewidth=1,
        )
        axes.set_yticks(y, [one.feature for one in top])
        for label, one in zip(axes.get_yticklabels(), top, strict=True):
            label.set_color(INK)
            label.set_fontweight("bold" if one.deep else "normal")
        axes.tick_params(axis="y", length=0)
        axes.axvline(0, color=FAINT, linewidth=1)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{metric} lost when shuffled")

    return draw(0.7 + 0.27 * len(top), paint, f"importance {model}")


def predictions(problem: Problem, before: Outcome, after: Outcome) -> str:
    """Draw predicted against true: a cloud for numbers, the share found for classes."""
    if problem.classes:
        return _found_by_class(problem, before, after)

    def paint(both: Any) -> None:
        known = np.isfinite(before.predictions) & np.isfinite(after.predictions)
        rows = _sample(np.flatnonzero(known))
        low, high = np.quantile(problem.y[rows], [0, 1])
        for axes, outcome in zip(both, (before, after), strict=True):
            axes.plot([low, high], [low, high], color=FAINT, linewidth=1)
            axes.scatter(
                outcome.predictions[rows],
                problem.y[rows],
                s=7,
                alpha=0.5,
                color="#5b8def",
                linewidths=0,
                rasterized=True,
            )
            axes.set_title(f"{outcome.arm.label}\n{outcome.score:.3f}", color=INK)
            axes.set_xlabel("predicted")
        both[0].set_ylabel(f"true {problem.goal}")
        both[1].sharey(both[0])

    return draw(3.1, paint, f"predictions {after.model}", columns=2)


def _found_by_class(problem: Problem, before: Outcome, after: Outcome) -> str:
    shares = []
    for code in range(len(problem.classes)):
        mine = (
            (problem.y == code) & np.isfinite(before.predictions) & np.isfinite(after.predictions)
        )
        shares.append([float((o.predictions[mine] == code).mean()) for o in (before, after)])

    def paint(axes: Any) -> None:
        for place, (name, (old, new)) in enumerate(zip(problem.classes, shares, strict=True)):
            axes.plot([old, new], [-place, -place], color=LINE, linewidth=3, zorder=1)
            axes.scatter(
                [old],
                [-place],
                s=60,
                color=NONE,
                zorder=2,
                marker="s",
                label=None if place else before.arm.label,
            )
            axes.scatter(
                [new],
                [-place],
                s=60,
                color=ACCENT,
                zorder=3,
                label=None if place else after.arm.label,
            )
            axes.annotate(
                str(name),
                (0, -place),
                (0, 11),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                color=INK,
                va="center",
            )
        axes.set_ylim(-len(shares) + 0.4, 0.8)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("share of the class that is found")
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=1)

    return draw(1.4 + 0.48 * len(shares), paint, f"classes {after.model}")


def embedding_map(problem: Problem, points: Any, rows: Any, name: str) -> str:
    """Draw an embedding's two main directions, coloured by the target."""
    import matplotlib as mpl
    from matplotlib.colors import ListedColormap

    def paint(axes: Any) -> None:
        kept = _sample(np.arange(len(rows)))
        style = {"s": 12, "linewidths": 0, "alpha": 0.75, "rasterized": True}
        values = problem.y[rows[kept]]
        if problem.classes:
            for code, label in enumerate(problem.classes[:10]):
                mine = points[kept][values == code]
                look = {
                    "color": CLASSES[code % len(CLASSES)],
                    # After a round of colours, the same ones come back in other shapes.
                    "marker": SHAPES[(code + code // len(CLASSES)) % len(SHAPES)],
                }
                axes.scatter(mine[:, 0], mine[:, 1], label=str(label), **look, **style)
            axes.legend(
                frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, markerscale=2
            )
        else:
            low, high = np.quantile(values, [0.02, 0.98])
            # Neither end of the scale may vanish on a light page or on a dark one.
            scale = ListedColormap(mpl.colormaps["plasma"](np.linspace(0.22, 0.88, 128)))
            drawn = axes.scatter(
                points[kept, 0], points[kept, 1], c=values, cmap=scale, vmin=low, vmax=high, **style
            )
            bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.7, label=problem.goal)
            bar.outline.set_visible(False)
        axes.set_axis_off()

    return draw(3.9, paint, f"map {name}")


def _sample(rows: Any) -> Any:
    if len(rows) <= SHOWN_POINTS:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, SHOWN_POINTS, replace=False))
