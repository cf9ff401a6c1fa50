"""Templates of pages: nothing filled in is markup, nothing is left out in silence."""

import jinja2
import pytest

from deepfeast.pipelines.templates import html_templates


@pytest.fixture
def folders(tmp_path):
    for name, text in (("mine", "<p>{{ text }}</p>"), ("theirs", "never seen")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.html").write_text(text)
    (tmp_path / "theirs" / "foot.html").write_text("<hr>")
    return tmp_path / "mine", tmp_path / "theirs"


def test_what_is_filled_in_is_no_markup(folders):
    page = html_templates(*folders).get_template("page.html")
    assert page.render(text="<b>2 & 3</b>") == "<p>&lt;b&gt;2 &amp; 3&lt;/b&gt;</p>"


def test_a_later_folder_has_what_the_first_lacks(folders):
    assert html_templates(*folders).get_template("foot.html").render() == "<hr>"


def test_a_missing_value_is_an_error(folders):
    with pytest.raises(jinja2.UndefinedError, match="'text' is undefined"):
        html_templates(*folders).get_template("page.html").render()
