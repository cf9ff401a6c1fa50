import json
from datetime import datetime, timezone

from deepfeast.pipelines.search import Found, Hit

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
HIT = Hit({"id": 5}, 0.98765, NOON, {"price": 9.5}, {"title": "red\nsofa " * 20, "photo": b"GIF"})
FOUND = Found("deep", "vec", "'sofa'", NOON, 1200, [HIT])


def test_a_row_is_one_short_line_and_says_of_when_it_is():
    row = HIT.row()
    assert list(row) == ["cosine", "id", "price", "of", "title"]
    assert (row["cosine"], row["id"], row["of"]) == ("0.988", "5", "2024-05-01 12:00")
    assert "\n" not in row["title"]
    assert len(row["title"]) <= 61


def test_json_has_whole_texts_and_no_photos():
    told = json.loads(json.dumps(FOUND.to_dict()))
    (hit,) = told["hits"]
    assert (hit["key"], hit["cosine"], hit["values"]) == ({"id": 5}, 0.98765, {"price": 9.5})
    assert hit["contents"] == {"title": "red\nsofa " * 20}
    assert told["compared"] == 1200


def test_the_line_says_what_was_compared_with_what():
    assert str(FOUND) == "deep:vec: the 1 nearest of 1,200 to 'sofa'"
