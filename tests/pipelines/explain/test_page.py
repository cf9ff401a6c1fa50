from html.parser import HTMLParser

from deepfeast.pipelines.explain import explain
from deepfeast.pipelines.explain.page import render_explained


def test_the_page_draws_on_the_text_and_on_the_photo_and_links_nowhere(things):
    found = explain(things.store, "deep", "t03", things.labels, "price", patches=3)
    page = render_explained(found)
    HTMLParser().feed(page)
    assert ">A luxurious diamond necklace of gold. <b>▲&nbsp;+" in page
    assert page.count("<rect") == 18
    assert page.count("<img") == 2
    assert ">+</text>" in page
    assert "http" not in page
    assert "<script" not in page


def test_axe_finds_nothing_serious(axe, things):
    found = explain(things.store, "deep", "t03", things.labels, "price", patches=3)
    assert axe(render_explained(found)) == []
