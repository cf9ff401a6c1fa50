"""A deep view whose table is not there, not of its encoders, or behind its source."""

from datetime import datetime, timedelta, timezone

from deepfeast.pipelines.doctor import checks, diagnose, exit_status, render

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"


def found(shirts):
    return {(finding.level, finding.where) for finding in diagnose(shirts.store)}


def text(shirts):
    return render(diagnose(shirts.store))


def test_a_view_that_was_never_embedded(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}])
    findings = diagnose(shirts.store)
    assert findings[0].mend == "deepfeast embed deep"
    assert exit_status(findings) == 1


def test_a_source_with_news(healthy):
    rows = [{"id": "b", "title": "blue tie", "event_timestamp": START + timedelta(days=2)}]
    healthy.write(rows)
    assert "rows up to 2024-01-03" in text(healthy)
    findings = diagnose(healthy.store)
    assert exit_status(findings) == 0
    assert exit_status(findings, strict=True) == 1
    assert [bool(check.failure) for check in checks(findings)] == [False]
    assert "deepfeast embed deep" in checks(findings, strict=True)[0].failure


def test_an_encoder_that_changed(healthy):
    healthy.declare("python:deepfeast.transforms.testing:WordLengths?dim=3")
    assert ("error", "view deep") in found(healthy)
    assert "--rebuild" in text(healthy)


def test_a_column_of_groups_that_is_not_there(healthy):
    healthy.declare(WORDS, groups="title")
    assert "groups=" not in text(healthy)
    healthy.declare(WORDS, groups="seller")
    assert "groups='seller' of view 'deep': nothing called 'seller'" in text(healthy)


def test_what_is_fitted_without_an_end_of_training(shirts):
    rows = [{"id": str(n), "title": "x" * n} for n in range(1, 4)]
    shirts.declare(WORDS, reduce="pca:1")
    shirts.write(rows)
    shirts.embed()
    assert "fitted" not in text(shirts)  # all of one moment
    shirts.write([*rows, {"id": "9", "title": "xx", "event_timestamp": START + timedelta(days=60)}])
    shirts.embed(rebuild=True)
    assert "'vec' is fitted to data and was fitted on rows up to 2024-03-01 00:00" in text(shirts)
    assert "fit_until='2024-01-01'" in text(shirts)
    shirts.declare(WORDS, reduce="pca:1", fit_until="2024-02-01")
    shirts.embed(rebuild=True)
    assert "fitted" not in text(shirts)
