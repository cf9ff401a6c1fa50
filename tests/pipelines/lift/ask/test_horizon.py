import pandas as pd
import pytest

from deepfeast.pipelines.lift.ask.horizon import fit_notes

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"


@pytest.fixture
def closet(shirts):
    """A PCA that saw rows of January, February and March."""
    shirts.declare(WORDS, reduce="pca:1")
    shirts.write(
        [
            {"id": str(month), "title": "x" * month, "event_timestamp": f"2024-0{month}-01"}
            for month in (1, 2, 3)
        ]
    )
    shirts.embed()
    return shirts


def notes(shirts, *days, forward):
    times = pd.Series(pd.to_datetime(days, utc=True))
    return fit_notes(shirts.store, ["vec"], times, forward=forward)


def test_forward_splits_test_the_later_labels_alone(closet):
    assert notes(closet, "2024-01-05", "2024-03-02", "2024-03-03", forward=True) == []
    (note,) = notes(closet, "2024-01-05", "2024-02-05", "2024-03-03", forward=True)
    assert note.startswith("vec was fitted on rows up to 2024-03-01 00:00, so on rows of the ")
    assert "begins at 2024-02-05 00:00" in note
    assert "fit_until='2024-02-05'" in note
    assert note.endswith("deepfeast embed deep --rebuild")


def test_otherwise_every_label_is_tested_once(closet):
    assert notes(closet, "2024-03-02", "2024-03-03", forward=False) == []
    assert len(notes(closet, "2024-01-05", "2024-03-02", "2024-03-03", forward=False)) == 1


def test_a_declared_horizon_puts_it_right(closet):
    closet.declare(WORDS, reduce="pca:1", fit_until="2024-02-05")
    closet.embed(rebuild=True)
    assert notes(closet, "2024-01-05", "2024-02-05", "2024-03-03", forward=True) == []


def test_what_is_not_fitted_or_not_asked_for_is_not_told(closet):
    early = pd.Series(pd.to_datetime(["2024-01-05"], utc=True))
    assert fit_notes(closet.store, ["other"], early, forward=False) == []
    closet.declare(WORDS)
    closet.embed(rebuild=True)
    assert notes(closet, "2024-01-05", forward=False) == []


def test_a_view_that_was_never_embedded_is_no_trouble(shirts):
    assert notes(shirts, "2024-01-05", forward=False) == []
