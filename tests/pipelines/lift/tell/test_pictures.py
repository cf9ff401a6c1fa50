"""The plots outside the page: whole, in plain colours, with words."""

import xml.dom.minidom

from deepfeast.pipelines.lift import pictures


def test_each_plot_of_the_page_stands_alone(prices):
    drawn = pictures(prices)
    assert "old model: lift of each arm" in drawn
    assert "Lift against the number of rows" in drawn
    assert "old model: predicted against true, before and after" in drawn
    for title, svg in drawn.items():
        whole = xml.dom.minidom.parseString(svg).documentElement
        assert whole.getAttribute("xmlns") == "http://www.w3.org/2000/svg"
        assert float(whole.getAttribute("height")) > 50
        assert f"<title>{title}</title><desc>" in svg
        assert "<desc></desc>" not in svg
        assert "var(" not in svg
    assert "#1d2330" in drawn["old model: lift of each arm"]  # the ink of the light page


def test_a_comparison_alone_has_the_plots_that_it_can_have(prices):
    few, all_of_them = pictures(prices.comparison), pictures(prices)
    assert set(few) < set(all_of_them)
    assert "old model: lift of each arm" in few
    assert "Lift against the number of rows" not in few
