"""From a Feast repo and labels to the verdict and the report."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from deepfeast.pipelines.lift.ask.models import named_models
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.run import run_lift
from deepfeast.transforms.errors import ColumnNotFound, LiftError, SourceNotFound

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
LONGER = "python:deepfeast.transforms.testing:WordLengths?dim=3"


ASKED = {"representations": ("probe",), "repeats": 1, "most_repeats": 1}
QUESTION = {field.name for field in dataclasses.fields(Question)}


def measure(sold, labels="labels.parquet", **options):
    labels = sold.folder / labels if isinstance(labels, str) else labels
    asked = {name: options.pop(name) for name in list(options) if name in QUESTION}
    question = Question("price", **{**ASKED, **asked})
    models = named_models([], sold.folder / "ridge.pkl")
    settings = {"service": "wear", "models": models, "columns": ["size"], **options}
    return run_lift(sold.folder, labels, question, **settings)


@pytest.fixture(scope="module")
def plain(sold):
    """The verdict on labels.parquet without further options."""
    return measure(sold)


def test_a_service_and_labels_become_a_verdict(sold, tmp_path):
    result = measure(sold, groups="seller", out=tmp_path / "report")
    assert result.comparison.outcome("ridge", "+ vec (probe)").verdict == "helps"
    assert result.comparison.problem.handcrafted == ["size"]
    assert result.source == "labels.parquet"
    page = (tmp_path / "report" / "lift.html").read_text()
    assert "Yes: vec helps ridge." in page
    # The longest first words raise the price most; the raw table's texts are shown.
    raising = result.directions[0]
    assert raising.title == "raise price most"
    texts = [result.contents["vec", one.row] for one in raising.examples]
    assert [len(text.split()[0]) for text in texts] == [11, 10, 9, 8, 7, 6]
    # Without its first word a title begins with "shirt", of five letters.
    for one in result.responses:
        letters = len(result.contents["vec", one.row].split()[0])
        assert one.parts[0].effect == pytest.approx(letters - 5, abs=1.2)
    assert len(result.responses) == 2
    assert '<h2 id="responses">' in page


def test_csv_labels_give_the_same_scores(sold, plain):
    one = plain.comparison.outcome("ridge", "+ vec (probe)")
    other = measure(sold, labels="labels.csv").comparison.outcome("ridge", "+ vec (probe)")
    assert np.allclose(one.scores, other.scores)


def test_costs_are_measured(plain):
    (cost,) = plain.costs
    assert (cost.feature, cost.numbers, cost.kilobytes) == ("vec", 2, 8.0)
    assert cost.seconds > 0


def test_the_cheap_rival_reads_the_same_texts(plain):
    rival = plain.comparison.outcome("ridge", "+ words of vec (words)")
    assert rival.lift is not None


def test_time_runs_forward(sold):
    comparison = measure(sold, time="event_timestamp").comparison
    times = comparison.problem.times
    assert all(times[train].max() < times[test].min() for train, test in comparison.splits)


def test_a_fit_that_saw_the_tested_time_is_noted(sold, tmp_path, Shirts):
    from feast import FeatureService

    other = Shirts(tmp_path)
    other.declare("python:deepfeast.transforms.testing:WordLengths?dim=2", reduce="pca:1")
    labels = pd.read_parquet(sold.folder / "labels.parquet")
    last = labels["event_timestamp"].iloc[-1]
    titles = [{"id": key, "title": "x" * (n % 9 + 1)} for n, key in enumerate(labels["id"])]
    other.write([*titles, {"id": "late", "title": "xx", "event_timestamp": last}])
    other.embed()
    deep = other.store.get_feature_view("deep")
    other.store.apply([FeatureService(name="wear", features=[deep])])
    result = run_lift(
        other.store,
        labels,
        Question("price", time="event_timestamp", representations=["raw"], repeats=1, folds=2),
        service="wear",
        models=named_models([], sold.folder / "ridge.pkl"),
    )
    assert any("vec was fitted on rows up to 2024-04-20" in note for note in result.notes)


def test_encoders_are_compared_on_the_same_column_and_cached(sold, tmp_path):
    result = measure(sold, encoders=[LONGER], out=tmp_path)
    (name,) = set(result.comparison.problem.deep) - {"vec"}
    assert name.startswith("vec__python_deepfeast")
    assert len(result.comparison.problem.deep[name]) == 3
    assert result.comparison.outcome("ridge", f"+ {name} (probe)").verdict == "helps"
    (kept,) = (tmp_path / "vectors").iterdir()
    written = kept.stat().st_mtime_ns
    measure(sold, encoders=[LONGER], out=tmp_path)
    assert [path.stat().st_mtime_ns for path in (tmp_path / "vectors").iterdir()] == [written]


def test_two_services_are_put_together(sold):
    problem = measure(sold, service=["sizes", "wear"], columns=[]).comparison.problem
    assert problem.handcrafted == ["known_size"]
    assert list(problem.deep) == ["vec"]


def test_a_service_without_deep_features_has_no_lift(sold):
    with pytest.raises(LiftError, match="the service sizes has no deep feature"):
        measure(sold, service="sizes")


def test_many_labels_can_be_sampled(sold):
    result = measure(sold, max_rows=60)
    assert len(result.comparison.problem.y) == 60
    assert result.notes == ["60 of 80 labels were drawn at random."]


def test_labels_older_than_every_feature_are_said_so(sold):
    labels = pd.read_parquet(sold.folder / "labels.parquet")
    labels["event_timestamp"] -= pd.Timedelta(days=900)
    with pytest.raises(LiftError, match="no feature is known at the time of any of the 80 labels"):
        measure(sold, labels=labels)


def test_bad_input_is_named(sold):
    with pytest.raises(SourceNotFound, match=r"no labels at .*nowhere.parquet"):
        measure(sold, labels="nowhere.parquet")
    with pytest.raises(ColumnNotFound, match=r"no column 'sellr' in the labels.*'seller'"):
        measure(sold, groups="sellr")
    with pytest.raises(LiftError, match=r"which column should .* Name one with --column"):
        measure(sold, encoders=[LONGER], column="description")


def test_a_source_that_is_gone_costs_the_words_and_the_examples_alone(sold):
    raw = sold.folder / "raw.parquet"
    raw.rename(sold.folder / "away.parquet")
    try:
        result = measure(sold)
    finally:
        (sold.folder / "away.parquet").rename(raw)
    assert result.comparison.outcome("ridge", "+ vec (probe)").verdict == "helps"
    assert "No words and no examples for vec" in result.notes[0]


def test_a_static_table_is_measured_as_of_now(sold):
    labels = pd.read_parquet(sold.folder / "labels.parquet").drop(columns="event_timestamp")
    question = Question("price", representations=("probe",), most_repeats=2)
    result = run_lift(sold.folder, labels, question, service="wear")
    assert any("every feature is as of now" in note for note in result.notes)


def test_near_copies_stay_together_by_the_file_that_says_so(sold, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    from deepfeast.pipelines.search import duplicates
    from deepfeast.transforms import copies

    monkeypatch.setitem(copies.THRESHOLDS, WORDS, 0.9999)
    path = tmp_path / "groups.parquet"
    pq.write_table(duplicates(sold.store, "deep").table, path)
    problem = measure(sold, groups=str(path)).comparison.problem
    assert problem.copies == {"vec": (0.9999, "deepfeast duplicates deep --feature vec")}
    first = problem.frame["vec_000"].to_numpy()
    # Titles of eleven lengths.
    assert [len(set(first[problem.groups == one])) for one in set(problem.groups)] == [1] * 11
