"""What is fitted sees the rows it may see, once, and stays as it is."""

from datetime import datetime, timedelta, timezone

import pytest

from deepfeast.transforms.embeddings.state import fits_of
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.errors import EncoderError, FingerprintMismatch

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
JANUARY = datetime(2024, 1, 1, tzinfo=timezone.utc)
MAY = datetime(2024, 5, 1, tzinfo=timezone.utc)
# Until May the first word differs and the second does not; from then on it is the other way.
TITLES = {"a": "x y", "b": "xxx y", "c": "xxxxx y", "d": "xxx yyyyyyyyy", "e": "xxx yyyyyyyyyyyyy"}
FIRST_WORD = {"a": [-2], "b": [0], "c": [2], "d": [0], "e": [0]}


@pytest.fixture
def closet(shirts):
    shirts.write(
        [
            {"id": key, "title": title, "event_timestamp": MAY if key in "de" else JANUARY}
            for key, title in TITLES.items()
        ]
    )
    return shirts


def meta(shirts):
    view = shirts.store.get_feature_view("deep")
    return embedding_table(shirts.store, view).commits()[0].meta


def test_a_pca_that_is_fitted_until_may_knows_nothing_of_may(closet):
    closet.declare(WORDS, reduce="pca:1", fit_until="2024-05-01")
    closet.embed()
    assert closet.vectors() == FIRST_WORD
    fit = fits_of(meta(closet))["vec"]
    assert (fit.rows, fit.first, fit.last) == (3, JANUARY, JANUARY)


def test_without_it_all_rows_have_a_say(closet):
    closet.declare(WORDS, reduce="pca:1")
    closet.embed()
    assert closet.vectors() != FIRST_WORD
    fit = fits_of(meta(closet))["vec"]
    assert (fit.rows, fit.first, fit.last) == (5, JANUARY, MAY)


def test_words_of_later_texts_are_unknown_to_tfidf(closet):
    closet.declare("tfidf:2", fit_until=MAY)
    closet.write(
        [
            {"id": "a", "title": "red shirt"},
            {"id": "b", "title": "blue hat"},
            {"id": "c", "title": "red hat"},
            {"id": "d", "title": "golden crown", "event_timestamp": MAY},
        ]
    )
    closet.embed()
    assert closet.vectors()["d"] == [0, 0]
    assert closet.vectors()["c"] != [0, 0]


def test_feast_materialize_keeps_it(closet):
    from feast import FeatureStore

    path = closet.folder / "feature_store.yaml"
    path.write_text(
        path.read_text() + "batch_engine: {type: deepfeast.pipelines.engine.BeamEngine}\n"
    )
    closet.store = FeatureStore(str(closet.folder))
    closet.declare(WORDS, reduce="pca:1", fit_until=MAY)
    closet.store.materialize(JANUARY, datetime.now(timezone.utc) + timedelta(minutes=1))
    answer = closet.store.get_online_features(["deep:vec"], [{"id": key} for key in TITLES])
    assert answer.to_dict()["vec"] == list(FIRST_WORD.values())


def test_another_horizon_is_another_encoder(closet):
    closet.declare(WORDS, reduce="pca:1", fit_until="2024-05-01")
    closet.embed()
    # The same five rows lie before either date, but the declarations differ.
    closet.declare(WORDS, reduce="pca:1", fit_until="2024-04-01")
    with pytest.raises(FingerprintMismatch, match="another declaration"):
        closet.embed()
    closet.declare(WORDS, reduce="pca:1")
    with pytest.raises(FingerprintMismatch, match="--rebuild"):
        closet.embed()
    closet.embed(rebuild=True)
    assert fits_of(meta(closet))["vec"].rows == 5


def test_the_argument_of_a_run_is_for_features_that_declare_none(closet):
    closet.declare(WORDS, reduce="pca:1")
    closet.embed(fit_until=MAY)
    assert closet.vectors() == FIRST_WORD
    closet.declare(WORDS, reduce="pca:1", fit_until=MAY)
    closet.embed(rebuild=True, fit_until=MAY + timedelta(days=99))
    assert closet.vectors() == FIRST_WORD


def test_a_horizon_before_all_rows_leaves_nothing_to_fit_on(closet):
    closet.declare(WORDS, reduce="pca:1", fit_until="2023-01-01")
    with pytest.raises(EncoderError, match=r"column 'title' of source 'raw' is empty before 2023"):
        closet.embed()
    assert not closet.table.exists()


def test_what_is_no_longer_fitted_is_no_longer_told(closet):
    closet.declare(WORDS, reduce="pca:1")
    closet.embed()
    closet.declare(WORDS, reduce="l2")
    closet.embed(rebuild=True)
    assert fits_of(meta(closet)) == {}
