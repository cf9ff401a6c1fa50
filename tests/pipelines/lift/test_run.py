"""deepfeast lift from end to end: a Feast repo, labels, the command, and what it wrote."""

import dataclasses
import json
import re

import joblib
import numpy as np
import pandas as pd
import pytest
import typer
from sklearn.linear_model import Ridge
from typer.testing import CliRunner

from deepfeast.pipelines.lift.ask.models import named_models
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.cli import lift
from deepfeast.pipelines.lift.run import run_lift
from deepfeast.transforms.errors import ColumnNotFound, LiftError, SourceNotFound

LONGER = "python:deepfeast.transforms.testing:WordLengths?dim=3"


def sale(row, random):
    """A shirt's price hangs on the length of its title's first word, and on its size."""
    first, size = int(random.integers(1, 12)), float(random.normal())
    return {
        "id": f"s{row}",
        "title": f"{'x' * first} shirt",
        "price": 20.0 + first + size + float(random.normal()) / 2,
        "size": size,
        "seller": row // 2,
    }


def sizes(shop, sales):
    """Declare the sizes as a handcrafted view of their own."""
    from feast import FeatureView, Field, FileSource
    from feast.types import Float64

    frame = pd.DataFrame({"id": [one["id"] for one in sales]})
    frame["known_size"] = [one["size"] for one in sales]
    frame["event_timestamp"] = pd.Timestamp("2024-01-01", tz="UTC")
    frame.to_parquet(shop.folder / "sizes.parquet")
    source = FileSource(path="sizes.parquet", timestamp_field="event_timestamp")
    return FeatureView(
        name="stats",
        entities=[shop.entity],
        schema=[Field(name="known_size", dtype=Float64)],
        source=source,
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory, Shirts):
    """80 shirts, embedded, with a service; labels.parquet and labels.csv beside them."""
    from feast import FeatureService

    shop = Shirts(tmp_path_factory.mktemp("lift"))
    (shop.folder / "feature_store.yaml").write_text(
        "project: shirts\nregistry: registry.db\nprovider: local\n"
        "offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}\n"
        "online_store: {type: sqlite, path: online.db}\n"
        "entity_key_serialization_version: 3\n"
    )
    random = np.random.default_rng(0)
    sales = [sale(row, random) for row in range(80)]
    shop.write([{"id": one["id"], "title": one["title"]} for one in sales])
    shop.embed()
    deep = shop.store.get_feature_view("deep")
    stats = sizes(shop, sales)
    services = [FeatureService(name="wear", features=[deep])]
    services += [FeatureService(name="sizes", features=[stats])]
    shop.store.apply([stats, *services])
    labels = pd.DataFrame(sales).drop(columns="title")
    labels["event_timestamp"] = pd.Timestamp("2024-02-01", tz="UTC") + pd.to_timedelta(
        labels.index, unit="D"
    )
    labels.to_parquet(shop.folder / "labels.parquet")
    labels.to_csv(shop.folder / "labels.csv", index=False)
    joblib.dump(Ridge(1.0), shop.folder / "ridge.pkl")
    return shop


ASKED = {"representations": ("probe",), "repeats": 1, "most_repeats": 1}
QUESTION = {field.name for field in dataclasses.fields(Question)}


def measure(shop, labels="labels.parquet", **options):
    labels = shop.folder / labels if isinstance(labels, str) else labels
    asked = {name: options.pop(name) for name in list(options) if name in QUESTION}
    question = Question("price", **{**ASKED, **asked})
    models = named_models(None, shop.folder / "ridge.pkl")
    settings = {"service": "wear", "models": models, "columns": ["size"], **options}
    return run_lift(shop.folder, labels, question, **settings)


@pytest.fixture(scope="module")
def plain(shop):
    """The verdict on labels.parquet without further options."""
    return measure(shop)


def test_a_service_and_labels_become_a_verdict(shop, tmp_path):
    result = measure(shop, groups="seller", out=tmp_path / "report")
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


def test_csv_labels_give_the_same_scores(shop, plain):
    one = plain.comparison.outcome("ridge", "+ vec (probe)")
    other = measure(shop, labels="labels.csv").comparison.outcome("ridge", "+ vec (probe)")
    assert np.allclose(one.scores, other.scores)


def test_costs_are_measured(plain):
    (cost,) = plain.costs
    assert (cost.feature, cost.numbers, cost.kilobytes) == ("vec", 2, 8.0)
    assert cost.seconds > 0


def test_the_cheap_rival_reads_the_same_texts(plain):
    rival = plain.comparison.outcome("ridge", "+ words of vec (words)")
    assert rival.lift is not None


def test_time_runs_forward(shop):
    comparison = measure(shop, time="event_timestamp").comparison
    times = comparison.problem.times
    assert all(times[train].max() < times[test].min() for train, test in comparison.splits)


def test_a_fit_that_saw_the_tested_time_is_noted(shop, tmp_path, Shirts):
    from feast import FeatureService

    other = Shirts(tmp_path)
    other.declare("python:deepfeast.transforms.testing:WordLengths?dim=2", reduce="pca:1")
    labels = pd.read_parquet(shop.folder / "labels.parquet")
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
        models=named_models(None, shop.folder / "ridge.pkl"),
    )
    assert any("vec was fitted on rows up to 2024-04-20" in note for note in result.notes)


def test_encoders_are_compared_on_the_same_column_and_cached(shop, tmp_path):
    result = measure(shop, encoders=[LONGER], out=tmp_path)
    (name,) = set(result.comparison.problem.deep) - {"vec"}
    assert name.startswith("vec__python_deepfeast")
    assert len(result.comparison.problem.deep[name]) == 3
    assert result.comparison.outcome("ridge", f"+ {name} (probe)").verdict == "helps"
    (kept,) = (tmp_path / "vectors").iterdir()
    written = kept.stat().st_mtime_ns
    measure(shop, encoders=[LONGER], out=tmp_path)
    assert [path.stat().st_mtime_ns for path in (tmp_path / "vectors").iterdir()] == [written]


def test_two_services_are_put_together(shop):
    problem = measure(shop, service=["sizes", "wear"], columns=[]).comparison.problem
    assert problem.handcrafted == ["known_size"]
    assert list(problem.deep) == ["vec"]


def test_a_service_without_deep_features_has_no_lift(shop):
    with pytest.raises(LiftError, match="the service sizes has no deep feature"):
        measure(shop, service="sizes")


def test_many_labels_can_be_sampled(shop):
    result = measure(shop, max_rows=60)
    assert len(result.comparison.problem.y) == 60
    assert result.notes == ["60 of 80 labels were drawn at random."]


def test_labels_older_than_every_feature_are_said_so(shop):
    labels = pd.read_parquet(shop.folder / "labels.parquet")
    labels["event_timestamp"] -= pd.Timedelta(days=900)
    with pytest.raises(LiftError, match="no feature is known at the time of any of the 80 labels"):
        measure(shop, labels=labels)


def test_bad_input_is_named(shop):
    with pytest.raises(SourceNotFound, match=r"no labels at .*nowhere.parquet"):
        measure(shop, labels="nowhere.parquet")
    with pytest.raises(ColumnNotFound, match=r"no column 'sellr' in the labels.*'seller'"):
        measure(shop, groups="sellr")
    with pytest.raises(LiftError, match=r"which column should .* Name one with --column"):
        measure(shop, encoders=[LONGER], column="description")


def test_a_source_that_is_gone_costs_the_words_and_the_examples_alone(shop):
    raw = shop.folder / "raw.parquet"
    raw.rename(shop.folder / "away.parquet")
    try:
        result = measure(shop)
    finally:
        (shop.folder / "away.parquet").rename(raw)
    assert result.comparison.outcome("ridge", "+ vec (probe)").verdict == "helps"
    assert "No words and no examples for vec" in result.notes[0]


@pytest.fixture
def run():
    """Run the command as the command line does."""
    app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
    app.command()(lift)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_the_command(shop, run, tmp_path):
    words = [shop.folder / "labels.parquet", "--repo", shop.folder, "--service", "wear"]
    words += ["--target", "price", "--groups", "seller", "--columns", "size", "--forms", "probe"]
    words += ["--allow-pickle", shop.folder / "ridge.pkl", "--repeats", 1, "--out", tmp_path]
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "Yes: vec helps ridge." in done.output
    assert json.loads((tmp_path / "lift.json").read_text())["verdict"].startswith(
        "Yes: vec helps ridge. ridge: median error 2.83 → 0.345"
    )
    body = json.loads(run(*words, "--json").stdout)
    assert body["questions"] == 2


def test_its_help_teaches_by_example(run):
    text = re.sub(r"\s+", " ", run("--help").output)
    assert "deepfeast lift labels.parquet --service price_model --target price" in text
    for option in ("--groups", "--time", "--model", "--allow-pickle", "--encoders", "--json"):
        assert option in text


def test_a_static_table_is_measured_as_of_now(shop):
    labels = pd.read_parquet(shop.folder / "labels.parquet").drop(columns="event_timestamp")
    question = Question("price", representations=("probe",), most_repeats=2)
    result = run_lift(shop.folder, labels, question, service="wear")
    assert any("every feature is as of now" in note for note in result.notes)
