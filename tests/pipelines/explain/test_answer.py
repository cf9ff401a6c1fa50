from datetime import datetime, timezone

from deepfeast.pipelines.explain.answer import Explained, Response
from deepfeast.transforms.occlusion.effects import Part
from deepfeast.transforms.occlusion.photos import Box
from deepfeast.transforms.occlusion.texts import Span

TEXT = Response(
    "vec",
    "text",
    "Red sofa. Cheap.",
    "price",
    1234.4,
    "It explains much.",
    [Part(Span(0, 9), 250.04, noise=400.0), Part(Span(10, 16), -1200.0, noise=312.4)],
)
PHOTO = Response(
    "look", "photo", (b"", b""), "score of b", -0.5, "", [Part(Box(0, 0, 0.5, 1), 0.25, 1)]
)


def test_the_strongest_come_first_in_the_targets_unit():
    assert TEXT.rows(5) == [
        {"price": "−1,200", "noise": "±312", "what": "Cheap."},
        {"price": "+250", "noise": "±400", "what": "Red sofa."},
    ]
    assert TEXT.rows(1) == TEXT.rows(5)[:1]
    assert str(TEXT) == (
        "vec: from text alone a linear model predicts price 1,230. It explains much. 1 of 2 parts "
        "moves it by more than its noise: what luck would, had other rows been labelled."
    )
    assert PHOTO.rows(1)[0]["what"] == "photo 2: 0–50 % from the left, 0–100 % from the top"


def test_json_has_places_and_no_photos():
    when = datetime(2024, 1, 1, tzinfo=timezone.utc)
    told = Explained("deep", {"id": "a"}, when, "price", [TEXT, PHOTO]).to_dict()
    text, photo = told["features"]
    first = {"effect": 250.04, "noise": 400.0, "what": "Red sofa.", "start": 0, "end": 9}
    assert (text["text"], text["parts"][0]) == ("Red sofa. Cheap.", first)
    assert photo["text"] is None
    assert {name: photo["parts"][0][name] for name in ("photo", "left", "bottom")} == {
        "photo": 1,
        "left": 0,
        "bottom": 1,
    }
