import io
from datetime import datetime, timezone

import pyarrow as pa
from PIL import Image

from deepfeast.pipelines.search import Duplicates, Found, Group, Hit
from deepfeast.pipelines.search.page import render, render_duplicates

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


def page(**contents):
    hit = Hit({"id": "a"}, 0.9, NOON, {"price": 5}, contents)
    return render(Found("deep", "vec", "'<b>'", NOON, 12, [hit], ["a note"]))


def test_a_photo_lies_within_the_page_and_a_text_is_escaped():
    photo = io.BytesIO()
    Image.new("RGB", (800, 600), "red").save(photo, "PNG")
    html = page(photo=photo.getvalue(), title="a <script>")
    assert html.count('<img src="data:image/jpeg;base64,') == 1
    assert "a &lt;script&gt;" in html
    assert "<b>" not in html
    assert "price: 5" in html
    assert "a note" in html
    assert "http" not in html


def test_what_is_missing_or_broken_is_left_out():
    html = page(photo=b"no photo", title=None)
    assert "<img" not in html
    assert "None" not in html


def test_groups_are_shown_so_far_as_they_were_read_and_the_rest_is_counted():
    hits = [Hit({"id": f"key{n}"}, 0.98, NOON, {}, {"title": "a <script>"}) for n in range(8)]
    groups = [Group(number, hits) for number in range(3)]
    found = Duplicates("deep", "vec", 0.97, "as asked", 99, groups, pa.table({}), 2, ["a note"])
    html = render_duplicates(found)
    assert "24 near-copies in 3 groups" in html
    assert html.count("8 rows, of which 6 are shown") == 2
    assert "Group 2" not in html
    assert "1 more groups are not shown" in html
    assert "a &lt;script&gt;" in html
    assert "a note" in html
    assert "http" not in html


def test_axe_finds_nothing_serious(axe):
    photo = io.BytesIO()
    Image.new("RGB", (80, 60), "red").save(photo, "PNG")
    assert axe(page(photo=photo.getvalue(), title="a red shirt")) == []
    hits = [Hit({"id": "a"}, 0.98, NOON, {}, {"title": "a shirt"})] * 2
    found = Duplicates("deep", "vec", 0.97, "as asked", 99, [Group(1, hits)], pa.table({}), 1, [])
    assert axe(render_duplicates(found)) == []
