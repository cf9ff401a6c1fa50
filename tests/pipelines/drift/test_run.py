import pandas as pd
import pytest

from deepfeast.pipelines.drift import drift
from deepfeast.pipelines.drift.span import read_span
from deepfeast.transforms.errors import DriftError, NeverEmbedded

LATER = "2024-03-01.."
NEW = "2024-02-01..2024-02-29"
OLD = "2024-01-01..2024-01-31"


def found(shop, recent, **options):
    return drift(shop.store, "deep", OLD, recent, groups="seller", **options)


def by_question(result):
    return {test.change.question: test for test in result.tests}


def test_february_is_as_january_was(shop):
    result = found(shop, NEW)
    assert not result.alarm
    assert set(by_question(result)) == {"place", "novelty"}
    assert result.counts == (120, 120)
    # 40 sellers a month, and one row without a seller.
    assert result.groups == (41, 41)
    assert result.headline == "deep: no drift that luck could not make"


def test_march_has_long_words_and_gaps(shop):
    result = found(shop, LATER, labels=shop.labels, target="price")
    tests = by_question(result)
    assert set(tests) == {"place", "novelty", "prediction", "missing", "rejected"}
    assert all(tests[question].alarm for question in ("place", "novelty", "prediction"))
    assert tests["missing"].told == tests["rejected"].told == "0.0% → 8.3%"
    assert [test.p for test in result.tests] == sorted(test.p for test in result.tests)
    long_words = [row.contents["title"] for row in result.unusual["vec"]]
    assert set(long_words) == {"x" * 40 + " yy"}
    assert len(long_words) == 10
    assert result.unusual["vec"][0].share == 0


def test_the_same_question_has_the_same_answer(shop):
    one, other = (found(shop, LATER, count=3).to_dict() for _ in range(2))
    assert one == other
    assert len(one["unusual"]["vec"]) == 3


def test_a_target_that_cannot_be_learned_is_told_and_the_rest_is_answered(shop):
    result = found(shop, LATER, labels=shop.labels.assign(price=None), target="price")
    assert result.alarm
    assert "prediction" not in by_question(result)
    assert any("no probe of 'price'" in note for note in result.notes)


def test_few_groups_are_told(shop):
    labels = pd.DataFrame(shop.labels).assign(half=lambda rows: rows.id.str[1])
    result = drift(shop.store, "deep", OLD, LATER, groups="half", labels=labels, target="price")
    assert any("so few groups" in note for note in result.notes)
    assert not result.alarm


def test_it_is_told_that_rows_were_compared_with_some_of_before(shop, monkeypatch):
    assert not any("drawn at random" in note for note in found(shop, LATER).notes)
    for module in ("pipelines.drift.run.MOST_COMPARED", "transforms.monitoring.novelty.MOST"):
        monkeypatch.setattr(f"deepfeast.{module}", 100)
    result = found(shop, LATER)
    assert result.notes[-1] == (
        "vec: how far out a row lies is told from 100 of 120 reference rows, drawn at random"
    )
    assert result.alarm


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"target": "price"}, "labels and a target go together"),
        ({"alpha": 5}, "level 5"),
    ],
)
def test_what_is_no_question_is_told(shop, options, told):
    with pytest.raises(DriftError, match=told):
        found(shop, NEW, **options)


def test_windows_without_vectors_and_vectors_that_are_equal(shirts):
    old, new = ({"event_timestamp": read_span(span).start} for span in (OLD, NEW))
    with pytest.raises(NeverEmbedded):
        drift(shirts.store, "deep", OLD, NEW)
    gone = [{"id": f"n{n}", "title": None, **new} for n in range(5)]
    shirts.write([{"id": f"o{n}", "title": "red", **old} for n in range(5)] + gone)
    shirts.embed()
    result = drift(shirts.store, "deep", OLD, NEW)
    assert by_question(result)["missing"].told == "0.0% → 100.0%"
    assert any("none of the 5 rows of the recent window has a vector" in n for n in result.notes)
    same = [{"id": f"n{n}", "title": "hat", **new} for n in range(5)]
    shirts.write([{"id": f"o{n}", "title": "red", **old} for n in range(5)] + same)
    shirts.embed()
    with pytest.raises(DriftError, match="all 10 vectors are equal"):
        drift(shirts.store, "deep", OLD, NEW)
