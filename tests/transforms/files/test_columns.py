"""A source may call its columns otherwise than its views do; every part undoes that alike."""

from datetime import datetime, timedelta, timezone

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Int64, String

from deepfeast.pipelines.embed import embed
from deepfeast.pipelines.lift.ask.contents import RawContents
from deepfeast.transforms import (
    DeepFeature,
    OnlineFeatures,
    deep_feature_view,
    training_frame,
)

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
MAPPED = {
    "key": {"nr": "id"},
    "time": {"ts": "event_timestamp"},
    "created": {"made": "created"},
    "feature": {"cost": "price", "words": "title"},
}
COLUMNS = ("id", "event_timestamp", "created", "price", "title")
LABELS = pd.DataFrame({"id": ["a", "b"], "event_timestamp": [START + timedelta(days=1)] * 2})


class Shop:
    def __init__(self, make_store, tmp_path, mapping, suffix="parquet"):
        called = {name: column for column, name in mapping.items()}
        rows = [
            ("a", START, START + timedelta(hours=2), 7, "red shirt"),
            ("a", START, START + timedelta(hours=1), 5, "old"),
            ("b", START, START, 3, "hat"),
        ]
        frame = pd.DataFrame(rows, columns=[called.get(name, name) for name in COLUMNS])
        path = tmp_path / "repo" / f"raw.{suffix}"
        path.parent.mkdir(exist_ok=True)
        if suffix == "csv":
            frame.to_csv(path, index=False)
        else:
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
        source = FileSource(
            name="raw",
            path=path.name,
            timestamp_field="event_timestamp",
            created_timestamp_column="created",
            field_mapping=mapping,
        )
        entity = Entity(name="item", join_keys=["id"], value_type=ValueType.STRING)
        plain = FeatureView(
            name="plain",
            entities=[entity],
            schema=[Field(name="id", dtype=String), Field(name="price", dtype=Int64)],
            source=source,
        )
        deep = deep_feature_view(
            name="deep",
            entities=[entity],
            source=source,
            features=[DeepFeature("vec", column="title", encoder=WORDS)],
        )
        engine = {"type": "deepfeast.pipelines.engine.BeamEngine"}
        service = FeatureService(name="items", features=[plain, deep])
        self.store = make_store(entity, source, plain, deep, service, batch_engine=engine)

    def join(self):
        return training_frame(self.store, LABELS, features=["plain:price"])["price"].tolist()

    def embed(self):
        embed(self.store, "deep")
        frame = training_frame(self.store, LABELS, features=["deep:vec"])
        return frame[["vec_000", "vec_001"]].to_numpy().tolist()

    def lift(self):
        return RawContents(self.store, LABELS).read("vec")

    def materialize(self):
        self.store.materialize(START, START + timedelta(days=1), feature_views=["plain"])
        keys = [{"id": "a"}, {"id": "b"}]
        return self.store.get_online_features(["plain:price"], keys).to_dict()["price"]

    def lookup(self):
        self.store.materialize(START, START + timedelta(days=1))
        features = OnlineFeatures(self.store, service="items")
        return features.frame([{"id": "a"}, {"id": "b"}]).to_numpy().tolist()


EXPECTED = {
    "join": [7, 3],
    "materialize": [7, 3],
    "embed": [[3, 5], [3, 0]],
    "lift": ["red shirt", "hat"],
    "lookup": [[7, 3, 5], [3, 3, 0]],
}


@pytest.mark.parametrize("mapped", MAPPED)
@pytest.mark.parametrize("part", EXPECTED)
def test_a_field_mapping_is_undone_everywhere(make_store, tmp_path, part, mapped):
    shop = Shop(make_store, tmp_path, MAPPED[mapped])
    assert getattr(shop, part)() == EXPECTED[part]


@pytest.mark.parametrize("part", EXPECTED)
def test_a_csv_is_read_everywhere_even_with_a_mapping(make_store, tmp_path, part):
    every = {column: name for one in MAPPED.values() for column, name in one.items()}
    shop = Shop(make_store, tmp_path, every, suffix="csv")
    assert getattr(shop, part)() == EXPECTED[part]
