"""The plots of the report: SVG that follows the page."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from deepfeast.pipelines.lift.measure.insights import CurvePoint, Importance
from deepfeast.pipelines.lift.measure.stats import Lift
from deepfeast.pipelines.lift.tell import plots
from deepfeast.pipelines.lift.tell.page import WORDS


def point(model, rows, gain):
    return CurvePoint(
        model, rows, 0.5, 0.5 + gain, Lift(gain, gain - 0.1, gain + 0.1, 0.05, 4, 5, 0.1)
    )


def texts(svg):
    """Return all words of a figure."""
    return " ".join(ElementTree.fromstring(svg).itertext())


@pytest.fixture
def comparison(by_hand):
    """A lift of +0.250 that helps, of 60 rows."""
    comparison = by_hand(np.arange(60.0), np.arange(60.0) + 9, np.arange(60.0) + 1)
    outcome = comparison.outcomes[1]
    outcome.lift = Lift(0.25, 0.2, 0.3, 0.02, 10, 10, 0.0001)
    outcome.verdict, outcome.reach = "helps", 0.08
    return comparison


def test_a_figure_is_one_element_in_the_colours_of_the_page(comparison):
    svg = plots.lifts(comparison, "old")
    assert svg.startswith("<svg viewBox=")
    assert "+ photo (probe)  +0.250" in texts(svg)
    assert "lift in R²" in texts(svg)
    assert "var(--good)" in svg
    assert not [colour for colour in plots.COLOURS if colour in svg]
    assert "<metadata" not in svg


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("font-size: 10px; font-family: 'DejaVu Sans', serif; fill: red", "font-size: 10px; "),
        ("font: 9.5px 'DejaVu Sans', serif; fill: red", "font: 9.5px var(--font); fill: red"),
        ("font: 700 10px 'DejaVu Sans', serif", "font: 700 10px var(--font)"),
    ],
)
def test_words_are_in_the_font_of_the_page_however_it_is_written(written, kept):
    svg = plots._for_the_page(
        f'<svg viewBox="0 0 1 1"><text style="{written}">oak</text></svg>', "x"
    )
    assert kept in svg
    assert "var(--font)" in svg
    assert "DejaVu" not in svg


def test_no_figure_brings_a_font_of_its_own(comparison):
    svg = plots.lifts(comparison, "old")
    assert svg.count("<text") == svg.count("var(--font)") > 3


def test_the_same_figure_has_the_same_bytes(comparison):
    assert plots.lifts(comparison, "old") == plots.lifts(comparison, "old")


def test_two_figures_of_one_page_share_no_id(comparison):
    other = plots.learning_curve([point("old", 10, 0.1), point("old", 20, 0.2)], "R²")
    ids = [
        set(re.findall(r' id="([^"]+)"', svg)) for svg in (plots.lifts(comparison, "old"), other)
    ]
    assert all(ids)
    assert not ids[0] & ids[1]
    used = re.findall(r'(?:url\(|href=")#([\w.-]+)', other)
    assert set(used) == ids[1]


def test_every_verdict_has_a_shape_of_its_own():
    assert set(plots.VERDICTS) == set(WORDS)
    assert len({shape for _, shape in plots.VERDICTS.values()}) == len(WORDS)


def test_each_model_has_a_line_of_the_curve():
    points = [point(model, rows, rows / 100) for model in ("old", "new") for rows in (10, 20)]
    words = texts(plots.learning_curve(points, "AUC"))
    assert "training rows" in words
    assert "lift in AUC" in words
    assert "old" in words
    assert "new" in words


def test_an_embedding_is_shown_though_many_columns_are_stronger():
    found = [Importance("old", f"column {n:02d}", False, 1.0 - n / 100, 0.01) for n in range(14)]
    found += [Importance("old", "photo", True, 0.1, 0.01), Importance("other", "x", False, 1, 0)]
    words = texts(plots.importance(found, "old", "R²"))
    assert "column 11" in words
    assert "column 12" not in words
    assert "photo" in words


def test_predictions_are_a_cloud_of_numbers_and_shares_of_classes(comparison, by_hand):
    before, after = comparison.outcomes
    words = texts(plots.predictions(comparison.problem, before, after))
    assert "true price" in words
    assert words.count("predicted") == 2
    truth = np.arange(60) % 2
    kinds = by_hand(truth, truth, truth, classes=["oak", "elm"])
    words = texts(plots.predictions(kinds.problem, *kinds.outcomes))
    assert "share of the class that is found" in words
    assert "oak" in words
    assert "elm" in words


@pytest.mark.parametrize("classes", [[], ["oak", "elm"]])
def test_a_map_is_coloured_by_the_target(by_hand, classes):
    truth = np.arange(60) % 2
    about = {"classes": classes} if classes else {}
    problem = by_hand(truth, truth, truth, **about).problem
    points = np.random.default_rng(0).normal(size=(40, 2))
    svg = plots.embedding_map(problem, points, np.arange(20, 60), "photo")
    assert ("oak" in texts(svg)) == ("price" not in texts(svg)) == bool(classes)
    assert "data:image/png" in svg  # a picture, lest thousands of points weigh on the page


def test_of_many_rows_some_are_drawn_always_the_same():
    many = np.arange(10_000)
    drawn = plots._sample(many)
    assert len(drawn) == len(set(drawn)) == plots.SHOWN_POINTS
    assert (np.diff(drawn) > 0).all()
    assert (drawn == plots._sample(many)).all()
    assert plots._sample(many[:9]).tolist() == list(range(9))
