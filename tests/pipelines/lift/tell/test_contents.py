import base64
import io

from PIL import Image

from deepfeast.pipelines.lift.tell.contents import PHOTO_SIDE, TEXT_LENGTH, shown_content


def test_a_long_text_is_shown_as_its_beginning():
    shown = shown_content("red sofa " * 200)["text"]
    assert shown.endswith(" …")
    assert len(shown) <= TEXT_LENGTH + 2


def test_a_photo_becomes_a_small_jpeg():
    photo = io.BytesIO()
    Image.new("RGB", (600, 900), "red").save(photo, "PNG")
    head, _, data = shown_content(photo.getvalue())["photo"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (100, PHOTO_SIDE)
