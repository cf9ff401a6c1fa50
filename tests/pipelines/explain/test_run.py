"""The answer is known: one sentence and one patch of the second photo make the price."""

import pandas as pd
import pytest

from deepfeast.pipelines.explain import explain
from deepfeast.transforms.errors import (
    ColumnNotFound,
    ExplainError,
    FeatureNotFound,
    NeverEmbedded,
    SearchError,
)


def test_the_sentence_and_the_patch_are_found_in_the_targets_unit(things):
    before = [path for path in things.table.rglob("*") if path.is_file()]
    found = explain(things.store, "deep", "t03", things.labels, "price", patches=3)
    assert found.key == {"id": "t03"}
    assert [one.unit for one in found.responses] == ["price", "price"]
    text, photos = found.responses
    best = text.strongest[0]
    assert text.content[slice(*best.place)] == "A luxurious diamond necklace of gold."
    # Dear things cost 80 more; without its one sentence the text says less than "dear".
    assert 25 < best.effect < 90
    patch = photos.strongest[0]
    # Where the sentence stands, and a grey patch, say nothing: no more than luck would.
    assert [part.luck for part in text.parts].count(False) == 1
    assert sum(part.luck for part in photos.parts) >= 14
    assert not best.luck
    assert not patch.luck
    assert (patch.photo, patch.place[:2]) == (1, pytest.approx((0, 1 / 3)))
    assert 15 < patch.effect < 60
    assert len(photos.parts) == 18
    assert "held out in turn" in text.skill
    # Nothing was written.
    assert [path for path in things.table.rglob("*") if path.is_file()] == before


def test_a_cheap_thing_is_lowered_and_a_logarithm_is_told_in_the_unit(things):
    found = explain(
        things.store,
        "deep",
        "t02",
        things.labels,
        "price",
        features=["text_vec"],
        groups="seller",
        log_target=True,
    )
    (text,) = found.responses
    best = text.strongest[0]
    assert text.content[slice(*best.place)] == "A plain old wooden chair."
    assert best.effect < -5
    assert "log(price)" in text.skill


def test_of_classes_it_is_the_score_of_one(things):
    found = explain(things.store, "deep", "t03", things.labels, "kind", features=["text_vec"])
    (text,) = found.responses
    assert text.unit == "score of dear"
    assert text.strongest[0].effect > 0.2
    assert "finds the class of 59 rows" in text.skill


def test_a_probe_that_knows_nothing_is_told(things):
    labels = things.labels.assign(luck=[float(number % 7) for number in range(60)])
    found = explain(things.store, "deep", "t03", labels, "luck", features=["photo_vec"], patches=2)
    (note,) = found.notes
    assert note.startswith("from photo_vec the probe predicts luck no better than if it knew")


def test_a_feature_that_cannot_be_explained_leaves_the_others(things):
    found = explain(things.store, "deep", "word", things.labels, "price", patches=3)
    assert [one.feature for one in found.responses] == ["photo_vec"]
    assert found.responses[0].strongest[0].photo == 1
    assert "'chair' is one word" in found.notes[0]


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        ({"key": "zz"}, ExplainError, "no id=zz among the 62 keys of deep .* there: id=t00"),
        ({"key": {"ID": 5}}, SearchError, "write id=…"),
        ({"key": "bare"}, ExplainError, "its text is empty.*its photos is empty"),
        ({"view": "depp"}, FeatureNotFound, "Did you mean 'deep'"),
        ({"features": ["text_vek"]}, FeatureNotFound, "text_vec"),
        ({"target": "prise"}, ColumnNotFound, "Did you mean 'price'"),
        ({"groups": "sellers"}, ColumnNotFound, "sellers"),
        ({"patches": 1}, ExplainError, "at least 2"),
        ({"target": "same"}, ExplainError, "it is 7 in all 59 rows"),
        ({"target": "none"}, ExplainError, "of 60 labels 0 have the target"),
        ({"target": "kind", "log_target": True}, ExplainError, "no logarithm"),
    ],
)
def test_what_has_no_answer_says_so_in_one_line(things, ask, error, said):
    labels = things.labels.assign(same=7, none=None)
    asked = {"view": "deep", "key": "t03", "labels": labels, "target": "price", **ask}
    with pytest.raises(error, match=said) as caught:
        explain(things.store, asked.pop("view"), **asked)
    assert "\n" not in str(caught.value)


def test_labels_older_than_the_vectors_teach_nothing(things):
    labels = things.labels.assign(event_timestamp=pd.Timestamp("2020-01-01", tz="UTC"))
    with pytest.raises(ExplainError, match=r"0 have the target, a vector as of their time"):
        explain(things.store, "deep", "t03", labels, "price")


def test_a_view_without_vectors_says_what_to_run(shirts):
    labels = pd.DataFrame({"id": ["a"], "price": [1.0]})
    with pytest.raises(NeverEmbedded, match="deepfeast embed"):
        explain(shirts.store, "deep", "a", labels, "price")
