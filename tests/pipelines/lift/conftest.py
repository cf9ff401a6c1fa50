"""A table whose truth is known, and comparisons made by hand."""

from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift import compare
from deepfeast.pipelines.lift.ask.arms import Arm
from deepfeast.pipelines.lift.ask.problem import Problem
from deepfeast.pipelines.lift.measure.comparison import Comparison, Outcome

VEC = [f"vec_{position:03d}" for position in range(6)]
NOISE = [f"noise_{position:03d}" for position in range(6)]


@pytest.fixture
def shop():
    """200 rows: the price hangs on size and on vec; noise says nothing; sellers have 2 rows."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(random.normal(size=(200, 12)), columns=[*VEC, *NOISE])
    frame["size"] = random.normal(size=200)
    frame["colour"] = random.choice(["red", "blue"], 200)
    frame["seller"] = np.arange(200) // 2
    frame["price"] = frame["size"] + frame[VEC].sum(axis=1) + random.normal(size=200)
    return frame


@pytest.fixture
def ask():
    """Return `compare` as it is mostly asked here: a ridge, the size, probes, two rounds."""

    def asked(frame, target="price", groups=None, features=("vec",), **options):
        settings: dict[str, Any] = {"models": {"ridge": Ridge(1.0)}, "handcrafted": ["size"]}
        settings |= {"representations": ("probe",), "repeats": 2, "most_repeats": 2, **options}
        columns = {
            name: [column for column in frame.columns if column.startswith(f"{name}_")]
            for name in features
        }
        return compare(frame, target, groups, feature_groups=columns, **settings)

    return asked


@pytest.fixture
def by_hand():
    """Return a comparison of one model, from the truth and what was predicted twice."""

    def made(truth, before, after, **about):
        truth = np.asarray(truth)
        columns = about.pop("columns", {})
        frame = pd.DataFrame({"size": 1.0, **columns}, index=range(len(truth)))
        problem = Problem(
            frame=frame,
            y=truth,
            target=about.pop("target", "price"),
            task="multiclass" if "classes" in about else "regression",
            metric="r2",
            handcrafted=list(frame.columns),
            deep={"photo": ["photo_000"]},
            rows=np.arange(len(truth)),
            **about,
        )
        arms = Arm("handcrafted", "baseline"), Arm("+ photo", "deep", ("photo",), "probe")
        outcomes = [
            Outcome("old", arm, np.zeros(2), 0.0, 0.0, np.asarray(guess, float))
            for arm, guess in zip(arms, (before, after), strict=True)
        ]
        return Comparison(problem, [], outcomes)

    return made


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


@pytest.fixture(scope="session")
def sold(tmp_path_factory, Shirts):
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
