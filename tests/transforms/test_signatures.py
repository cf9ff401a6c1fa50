import json
from datetime import datetime, timezone

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.data_format import DeltaFormat
from feast.types import Array, Float32, Int64

from deepfeast.transforms.arrow import VECTOR_TYPE
from deepfeast.transforms.columns import service_columns
from deepfeast.transforms.errors import SignatureMismatch, TableDamaged
from deepfeast.transforms.features import DeepFeature, DeepViewSpec
from deepfeast.transforms.join import training_frame
from deepfeast.transforms.signatures import (
    check_signature,
    describe,
    load_signature,
    save_signature,
    signature,
)

NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)


def embed(folder, fingerprint):
    """Append one row to the embedding table, as a run with this encoder would."""
    row = pa.table(
        {
            "item_id": ["a"],
            "at": pa.array([NOON]),
            "created_timestamp": pa.array([NOON]),
            "look": pa.array([[1.0, 2.0]], VECTOR_TYPE),
        }
    )
    said = json.dumps({"run_id": "1", "fingerprints": {"look": fingerprint}})
    write_deltalake(
        str(folder / "data" / "deep"),
        row,
        mode="append",
        commit_properties=CommitProperties(custom_metadata={"deepfeast": said}),
    )


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "repo"


@pytest.fixture
def store(make_store):
    item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
    spec = DeepViewSpec("deep", "raw", (DeepFeature("look", "photo", "image-tiny"),))
    source = FileSource(path="data/deep", file_format=DeltaFormat(), timestamp_field="at")
    deep = FeatureView(
        name="deep",
        entities=[item],
        schema=[Field(name="look", dtype=Array(Float32), vector_length=2)],
        source=source,
        tags={"deepfeast": spec.to_tag()},
    )
    plain = FeatureView(
        name="plain",
        entities=[item],
        schema=[Field(name="beds", dtype=Int64)],
        source=FileSource(path="data/plain.parquet", timestamp_field="at"),
    )
    service = FeatureService(name="model", features=[plain, deep])
    return make_store(item, deep, plain, service)


def test_a_signature_lists_columns_in_order_and_the_encoders_behind_them(store, folder):
    embed(folder, "f1" * 32)
    assert signature(store, "model") == {
        "version": 1,
        "service": "model",
        "columns": ["beds", "look_000", "look_001"],
        "fingerprints": {"deep:look": "f1" * 32},
    }


def test_the_newest_commit_that_says_so_counts(store, folder):
    embed(folder, "old")
    embed(folder, "new")
    from deltalake import DeltaTable

    DeltaTable(str(folder / "data" / "deep")).optimize.compact()  # a commit that says nothing
    assert signature(store, ["deep:look"])["fingerprints"] == {"deep:look": "new"}


def test_nothing_embedded_or_nothing_said_is_no_fingerprint(store, folder):
    assert signature(store, "model")["fingerprints"] == {"deep:look": None}
    write_deltalake(str(folder / "data" / "deep"), pa.table({"item_id": ["a"]}))
    assert signature(store, "model")["fingerprints"] == {"deep:look": None}


def test_no_table_is_opened_for_what_is_told_already(store, folder):
    (folder / "data" / "deep" / "_delta_log").mkdir(parents=True)
    (folder / "data" / "deep" / "_delta_log" / f"{0:020}.json").write_text("damaged")
    columns = service_columns(store, "model")
    told = {"deep:look": "f1"}
    assert describe(store, columns, "model", told)["fingerprints"] == told
    with pytest.raises(TableDamaged):
        describe(store, columns, "model")


def test_the_training_frame_carries_it_and_it_lies_beside_the_model(store, folder, tmp_path):
    embed(folder, "f1")
    labels = pd.DataFrame({"item_id": ["a"], "event_timestamp": [NOON]})
    frame = training_frame(store, labels, features=["deep:look"])
    path = tmp_path / "model.signature.json"
    save_signature(frame.attrs["deepfeast"], path)
    assert load_signature(path) == signature(store, ["deep:look"])
    assert path.stat().st_size < 1000


def test_an_equal_signature_passes(store, folder):
    embed(folder, "f1")
    check_signature(signature(store, "model"), signature(store, "model"))


def test_another_encoder_behind_equal_columns_is_refused(store, folder):
    embed(folder, "f1" * 32)
    trained = signature(store, "model")
    embed(folder, "f2" * 32)
    with pytest.raises(SignatureMismatch, match=r"deep:look .* f1f1f1f1f1f1… .* f2f2f2f2f2f2…"):
        check_signature(trained, signature(store, "model"))


def test_other_columns_or_another_order_are_refused_and_named():
    def columns(*names):
        return {"version": 1, "columns": list(names), "fingerprints": {}}

    with pytest.raises(SignatureMismatch, match=r"missing now: b \(1\); new: c, d, e, … \(4\)"):
        check_signature(columns("a", "b"), columns("a", "c", "d", "e", "f"))
    with pytest.raises(SignatureMismatch, match="at position 1 the model expects 'b', 'c'"):
        check_signature(columns("a", "b", "c"), columns("a", "c", "b"))


def test_a_signature_of_another_version_is_refused():
    with pytest.raises(SignatureMismatch, match="version 0"):
        check_signature({"version": 0}, {"version": 1})
