import io
from datetime import datetime, timezone

from PIL import Image

from deepfeast.pipelines.search import Found, Hit
from deepfeast.pipelines.search.page import render

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
