from PIL import Image

from deepfeast.pipelines.lift.tell.occluded import css, drawn, signed_amount, where
from deepfeast.transforms.occlusion.effects import Part
from deepfeast.transforms.occlusion.photos import Box, to_bytes
from deepfeast.transforms.occlusion.texts import Span


def test_a_text_keeps_its_words_and_none_of_them_is_markup():
    text = "A <b>sofa</b>. Cheap. & old"
    html = drawn(text, [Part(Span(0, 14), 20.0), Part(Span(15, 21), -1.0)], "price")
    assert "A &lt;b&gt;sofa&lt;/b&gt;. <b>▲&nbsp;+20</b>" in html
    assert 'class="lowers" style="--strength: 0.05">Cheap.</mark> &amp; old' in html


def test_the_sign_on_a_photo_is_not_said_by_colour_alone():
    photo = to_bytes(Image.new("RGB", (40, 20)))
    parts = [Part(Box(0, 0, 0.5, 1), 2.0), Part(Box(0.5, 0, 1, 1), -1.0)]
    html = drawn(photo, parts, "price")
    assert ">+</text>" in html
    assert ">−</text>" in html
    assert 'aria-label="Strongest: +2 price, 0–50 % from the left' in html
    assert ".raises" in css()


def test_what_is_within_its_noise_has_no_colour_and_no_sign():
    parts = [Part(Span(0, 5), 20.0, noise=25.0), Part(Span(6, 11), -19.0, noise=3.0)]
    html = drawn("Sofa. Cheap", parts, "price")
    assert 'style="--strength: 0.0">Sofa.</mark>' in html
    assert "<b>▼&nbsp;−19</b>" in html
    photo = to_bytes(Image.new("RGB", (40, 20)))
    html = drawn(photo, [Part(Box(0, 0, 0.5, 1), 2.0, noise=2.5)], "price")
    assert "0–100 % from the top, within the noise." in html
    assert "</text>" not in html


def test_nothing_moved_is_drawn_plain():
    assert "<b>" not in drawn("a sofa", [Part(Span(0, 1), 0.0), Part(Span(2, 6), 0.0)], "price")
    assert [signed_amount(one) for one in (0.0, 0.25, -100.0)] == ["0", "+0.25", "−100"]
    assert where("a  red\nsofa", Part(Span(0, 11), 1.0)) == "a red sofa"
