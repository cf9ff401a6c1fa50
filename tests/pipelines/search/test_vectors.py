from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from deepfeast.pipelines.search import VectorSearch, search, similar
from deepfeast.transforms.errors import (
    EncoderError,
    FeatureNotFound,
    NeverEmbedded,
    SearchError,
)

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=3"
DAY = timedelta(days=1)
FIRST = datetime(2024, 1, 1)


def keys(found):
    return [hit.key["id"] for hit in found.hits]


def test_the_nearest_to_a_key_are_of_its_latest_rows_and_not_itself(wardrobe):
    found = similar(wardrobe.store, "deep", "a")
    # [3, 5] beside [4, 5], [3, 5] and [3, 0].
    assert keys(found) == ["c", "d", "b"]
    assert [round(hit.cosine, 3) for hit in found.hits] == [1.0, 0.991, 0.514]
    assert [hit.contents["title"] for hit in found.hits] == ["red shoes", "blue shirt", "hat"]
    assert found.compared == 3
    assert found.notes == ["2 keys have no vector and cannot be found"]


def test_as_of_a_time_the_rows_and_the_handcrafted_values_are_those_of_then(wardrobe):
    then = similar(wardrobe.store, "deep", "b", as_of=FIRST, where="price > 1")
    assert [(hit.key["id"], hit.values["price"]) for hit in then.hits] == [("c", 2), ("a", 5)]
    assert [hit.contents["title"] for hit in then.hits] == ["tie", "red shirt"]
    now = similar(wardrobe.store, "deep", "b", where="price > 1")
    assert {hit.key["id"]: hit.values["price"] for hit in now.hits} == {"c": 2, "a": 50}


def test_a_text_is_found_as_the_encoder_sees_it(wardrobe):
    opened = VectorSearch(wardrobe.store, "deep")
    assert keys(opened.search("hat", count=1)) == ["b"]
    assert keys(opened.search("blue pants", count=2)) == ["d", "a"]  # of c and a the earlier row
    assert opened.search("hat", where="price < 1").hits == []


def test_a_filter_may_name_keys_and_two_features_of_one_name(wardrobe):
    opened = VectorSearch(wardrobe.store, "deep")
    found = opened.search("hat", where="prices__size >= 2 AND old_prices__size < 4 AND id <> 'c'")
    assert keys(found) == ["b"]
    assert found.hits[0].values == {"prices__size": 2, "old_prices__size": 2}


@pytest.mark.parametrize("where", ["cost < 5", "price <", "true); DROP TABLE x; --"])
def test_a_filter_that_is_none_names_the_columns(wardrobe, where):
    with pytest.raises(SearchError, match=r"Known are: id, price, prices__size, old_prices__size"):
        VectorSearch(wardrobe.store, "deep").search("hat", where=where)


def test_a_filter_reads_no_files(wardrobe):
    raw = wardrobe.folder / "raw.parquet"
    with pytest.raises(SearchError, match="no condition"):
        search(wardrobe.store, "deep", "hat", where=f"EXISTS (FROM '{raw}')")


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda repo: similar(repo, "deep", "zz"), SearchError, "no vector of id=zz.*there: id=a"),
        (lambda repo: similar(repo, "deep", "e"), SearchError, "missing or rejected"),
        (lambda repo: similar(repo, "deep", {"ID": 5}), SearchError, "write id=…"),
        (lambda repo: similar(repo, "depp", "a"), FeatureNotFound, "Did you mean 'deep'"),
        (lambda repo: search(repo, "deep", "  "), SearchError, "the query is empty"),
        (lambda repo: search(repo, "deep", b""), SearchError, "the query is empty"),
        (lambda repo: search(repo, "deep", "poison"), SearchError, "cannot be encoded: poisoned"),
        (lambda repo: search(repo, "deep", b"GIF"), FeatureNotFound, "made of files. It has: vec"),
        (
            lambda repo: search(repo, "deep", b"GIF", feature="vec"),
            SearchError,
            "made of texts, and the query is a file",
        ),
        (lambda repo: search(repo, "deep", Path("no.jpg")), FeatureNotFound, "made of files"),
        (
            lambda repo: similar(repo, "deep", "a", as_of=FIRST - DAY),
            SearchError,
            "no vector as of 2023-12-31 00:00 UTC",
        ),
    ],
)
def test_a_question_without_an_answer_is_one_clear_line(wardrobe, ask, error, said):
    with pytest.raises(error, match=said) as caught:
        ask(wardrobe.store)
    assert "\n" not in str(caught.value)


def test_a_view_that_was_never_embedded_says_so(shirts):
    with pytest.raises(NeverEmbedded, match="deepfeast embed deep"):
        similar(shirts.store, "deep", "a")


def test_vectors_that_are_all_equal_answer_nothing(shirts):
    shirts.write([{"id": key, "title": "red shirt"} for key in "abc"])
    shirts.embed()
    with pytest.raises(SearchError, match="all 3 vectors of deep:vec are equal"):
        similar(shirts.store, "deep", "a")


def test_an_encoder_that_is_not_that_of_the_table_is_refused_but_keys_are_compared(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "hat"}])
    shirts.embed()
    shirts.declare("python:deepfeast.transforms.testing:TextSums?dim=2")
    assert keys(similar(shirts.store, "deep", "a")) == ["b"]
    with pytest.raises(EncoderError, match="Embed again with --rebuild"):
        search(shirts.store, "deep", "hat")


def test_packed_vectors_are_searched_as_what_they_hold(shirts):
    shirts.declare("python:deepfeast.transforms.testing:WordLengths?dim=2", storage="int8")
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "hat"}])
    shirts.embed()
    opened = VectorSearch(shirts.store, "deep")
    assert opened.units.dtype == np.float32
    assert keys(opened.search("red")) == ["b", "a"]


def test_a_query_of_strange_words_is_answered_with_a_warning(wardrobe):
    opened = VectorSearch(wardrobe.store, "deep")
    assert not any("another language" in note for note in opened.search("Blue HAT").notes)
    (note,) = (note for note in opened.search("roter Hut").notes if "language" in note)
    assert "'roter', 'Hut'" in note


def test_a_text_finds_photos_by_way_of_rows_that_have_both(Shirts, tmp_path):
    from PIL import Image

    from deepfeast.transforms import DeepFeature, deep_feature_view

    shirts = Shirts(tmp_path / "photos")
    colours = {"red": "red wool shirt", "blue": "thin blue trousers"}
    rows = []
    for number in range(60):
        colour = list(colours)[number % 2]
        photo = f"{number}.png"
        Image.new("RGB", (8, 8 + number), colour).save(shirts.folder / photo)
        title = None if number > 55 else colours[colour]
        rows.append({"id": str(number), "title": title, "photo": photo})
    shirts.write(rows)
    view = deep_feature_view(
        name="deep",
        entities=[shirts.entity],
        source=shirts.source,
        features=[
            DeepFeature("photo_vec", column="photo", encoder="image-tiny"),
            DeepFeature("title_vec", column="title", encoder=WORDS),
        ],
    )
    shirts.store.apply(view)
    shirts.embed()
    opened = VectorSearch(shirts.store, "deep", "photo_vec")
    found = opened.search("thin blue trousers", count=5, where="id IN ('56', '57', '58', '59')")
    assert {hit.key["id"] for hit in found.hits[:2]} == {"57", "59"}
    assert found.notes[0].startswith("no text was compared with photo_vec itself: a ridge")
    assert search(shirts.store, "deep", "blue").feature == "title_vec"
    photo = shirts.folder / "7.png"
    assert {int(one) % 2 for one in keys(search(shirts.store, "deep", photo))} == {1}
    with pytest.raises(SearchError, match=r"there is no file no.jpg"):
        search(shirts.store, "deep", Path("no.jpg"))
    with pytest.raises(SearchError, match="cannot be encoded: image_unknown"):
        search(shirts.store, "deep", shirts.folder / "raw.parquet")


def test_of_two_join_keys_both_are_named(shirts):
    from feast import Entity, ValueType

    from deepfeast.transforms import DeepFeature, deep_feature_view

    shop = Entity(name="shop", join_keys=["shop"], value_type=ValueType.INT64)
    titles = {("a", 1): "red shirt", ("a", 2): "hat", ("b", 1): "red shoes"}
    shirts.write([{"id": one, "shop": two, "title": title} for (one, two), title in titles.items()])
    view = deep_feature_view(
        name="deep",
        entities=[shirts.entity, shop],
        source=shirts.source,
        features=[DeepFeature("vec", column="title", encoder=WORDS)],
    )
    shirts.store.apply([shop, view])
    shirts.embed()
    opened = VectorSearch(shirts.store, "deep")
    first = opened.similar("id=a,shop=1").hits[0].key
    assert first == opened.similar({"shop": 1, "id": "a"}).hits[0].key == {"id": "b", "shop": 1}
    with pytest.raises(SearchError, match="write id=…,shop=…"):
        opened.similar("a")
