"""The texts and photos behind deep features, as of each label's time."""

import pandas as pd
import pytest
from PIL import Image

from deepfeast.pipelines.lift.ask.contents import RawContents
from deepfeast.transforms.embeddings.tombstones import Tombstones

PHOTOS = "python:deepfeast.transforms.testing:untrained_photos"


def labels(*rows):
    """Return labels of (id, day of January)."""
    ids, days = zip(*rows, strict=True)
    times = [pd.Timestamp(2024, 1, day, 12, tz="UTC") for day in days]
    return pd.DataFrame({"id": ids, "event_timestamp": times})


def raw(id_, day, **columns):
    return {"id": id_, "event_timestamp": pd.Timestamp(2024, 1, day, tz="UTC"), **columns}


@pytest.fixture
def closet(shirts):
    """A shirt that was renamed, and one whose title went away."""
    shirts.write(
        [
            raw("a", 2, title="red shirt"),
            raw("a", 5, title="blue shirt"),
            raw("b", 2, title="green shirt"),
            raw("b", 5, title=None),
        ]
    )
    return shirts


def test_a_label_sees_the_text_of_its_own_time(closet):
    asked = labels(("a", 9), ("a", 3), ("a", 1), ("b", 3), ("b", 9), ("c", 9))
    contents = RawContents(closet.store, asked)
    assert contents.read("vec") == ["blue shirt", "red shirt", None, "green shirt", None, None]
    assert contents.failures == {}


def test_some_rows_are_read_in_the_order_asked(closet):
    contents = RawContents(closet.store, labels(("a", 9), ("b", 3), ("a", 3)))
    assert contents.read("vec", [2, 0, 2]) == ["red shirt", "blue shirt", "red shirt"]
    assert contents.read("vec", []) == []


def test_deep_features_alone_have_contents(closet):
    contents = RawContents(closet.store, labels(("a", 9)))
    assert "vec" in contents
    assert "title" not in contents
    assert contents.feature("vec").column == "title"
    assert contents.modality("vec") == "text"


def test_a_source_that_is_gone_is_a_failure_with_its_reason(closet):
    (closet.folder / "raw.parquet").unlink()
    contents = RawContents(closet.store, labels(("a", 9), ("b", 9)))
    assert contents.read("vec") == [None, None]
    assert list(contents.failures) == ["vec"]
    assert "raw.parquet" in contents.failures["vec"]


def test_photos_are_bytes_and_of_several_the_first(shirts, Shirts, tmp_path):
    photos = Shirts(tmp_path / "photos", {"look": "photo"})
    photos.declare(PHOTOS)
    for colour in ("red", "blue"):
        Image.new("RGB", (8, 8), colour).save(photos.folder / f"{colour}.png")
    photos.write(
        [
            raw("a", 2, photo=["red.png", "blue.png"]),
            raw("b", 2, photo=["blue.png"]),
            raw("c", 2, photo=["nowhere.png"]),
            raw("d", 2, photo=None),
        ]
    )
    contents = RawContents(photos.store, labels(*[(one, 9) for one in "abcd"]))
    assert contents.modality("look") == "image"
    red, blue, gone, none = contents.read("look")
    assert red == (photos.folder / "red.png").read_bytes()
    assert blue == (photos.folder / "blue.png").read_bytes()
    assert gone is none is None


def test_what_was_forgotten_is_read_no_more_though_the_source_has_it(closet):
    Tombstones(("id",)).with_keys([("a",)]).write(closet.table)
    contents = RawContents(closet.store, labels(("a", 9), ("b", 3)))
    assert contents.read("vec") == [None, "green shirt"]


def test_texts_in_a_warehouse_are_read_there(make_store, postgres):
    from feast import Entity, ValueType

    from deepfeast.pipelines.offline_store import STORE
    from deepfeast.transforms import DeepFeature, deep_feature_view

    postgres.run(
        "CREATE TABLE shirts (id text, event_timestamp timestamptz, title text)",
        "INSERT INTO shirts VALUES ('a', '2024-01-02Z', 'red'), ('a', '2024-01-05Z', 'blue')",
    )
    source, shirt = (
        postgres.source("shirts"),
        Entity(name="shirt", join_keys=["id"], value_type=ValueType.STRING),
    )
    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    features = [DeepFeature("vec", column="title", encoder=words)]
    view = deep_feature_view(name="deep", entities=[shirt], source=source, features=features)
    store = make_store(
        shirt, source, view, offline_store={"type": STORE, "warehouse": postgres.block}
    )
    contents = RawContents(store, labels(("a", 9), ("a", 3), ("a", 1), ("b", 9)))
    assert contents.read("vec") == ["blue", "red", None, None]
    postgres.run("DROP TABLE shirts")
    assert contents.read("vec") == [None] * 4
    assert "has no such table" in contents.failures["vec"]
