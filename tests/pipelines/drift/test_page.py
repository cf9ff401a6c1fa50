from deepfeast.pipelines.drift import drift
from deepfeast.pipelines.drift.page import render_drift

LATER = "2024-03-01.."
OLD = "2024-01-01..2024-01-31"


def test_the_page_shows_tests_and_rows_and_needs_nothing_else(shop):
    page = render_drift(drift(shop.store, "deep", OLD, LATER, groups="seller"))
    assert "deep has drifted" in page
    assert "x" * 40 + " yy" in page
    assert "What this cannot see" in page
    assert "<script" not in page
    assert "http" not in page


def test_what_rows_say_is_text_and_no_markup(shop):
    found = drift(shop.store, "deep", OLD, LATER, groups="seller")
    found.unusual["vec"][0].contents["title"] = "<b>sofa</b>"
    assert "&lt;b&gt;sofa" in render_drift(found)


def test_axe_finds_nothing_serious(axe, shop):
    assert axe(render_drift(drift(shop.store, "deep", OLD, LATER, groups="seller"))) == []
