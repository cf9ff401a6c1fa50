"""A store says what its rows were made with, and nobody can write under another's seal."""

import dataclasses
import threading
import time
from datetime import datetime, timezone

import pytest

from deepfeast.transforms import OnlineFeatures
from deepfeast.transforms.errors import (
    HalfMaterialized,
    RunInProgress,
    SignatureMismatch,
    SpecError,
)
from deepfeast.transforms.features import DeepFeature, DeepViewSpec
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.online.seal import Seal, check_seal
from deepfeast.transforms.online.table import OnlineRows, OnlineTable

AT = datetime(2024, 1, 1, tzinfo=timezone.utc)
COLUMNS = {"vec": ["title", None, "mean"]}
OLD = Seal({"vec": "f1" * 32}, 1, 0, 10, COLUMNS)
NEW = Seal({"vec": "f2" * 32}, 2, 5, 20, COLUMNS)
TRAINED = {"version": 1, "columns": ["vec_000"], "fingerprints": {"deep:vec": "f1" * 32}}


def deep_view(name="deep"):
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.data_format import DeltaFormat
    from feast.types import Array, Float32

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    source = FileSource(
        name=name, path=f"data/{name}", file_format=DeltaFormat(), timestamp_field="at"
    )
    spec = DeepViewSpec(name, "raw", (DeepFeature("vec", "title", "text-tiny"),))
    return [
        shop,
        source,
        FeatureView(
            name=name,
            entities=[shop],
            schema=[Field(name="vec", dtype=Array(Float32), vector_length=1)],
            source=source,
            tags={"deepfeast": spec.to_tag()},
        ),
    ]


@pytest.fixture
def store(make_store, online_store):
    made = make_store(*deep_view(), *deep_view("other"), online_store=online_store)
    yield made
    made.teardown()


def table_of(store, view="deep"):
    return online_table(store.provider.online_store, store.config, store.get_feature_view(view))


def vector(number):
    from feast.protos.feast.types.Value_pb2 import FloatList, Value

    return Value(float_list_val=FloatList(val=[number])).SerializeToString()


def write(table, seal, **numbers):
    rows = OnlineRows(
        [(key,) for key in numbers],
        [AT] * len(numbers),
        {"vec": [vector(number) for number in numbers.values()]},
    )
    return table.write_newer(rows, seal.epoch if seal else None)


def look(store, *keys, **options):
    online = OnlineFeatures(store, ["deep:vec"], **options)
    return online.matrix([{"shop_id": key} for key in keys])[0][:, 0].tolist()


def test_rows_are_served_to_those_who_expect_them(store):
    table = table_of(store)
    table.begin(OLD, bare=True)
    write(table, OLD, a=1.0, b=2.0)
    with pytest.raises(HalfMaterialized, match="materialize-incremental"):
        look(store, "a")
    table.finish(OLD)
    assert table_of(store).seal() == OLD
    assert look(store, "b", "a", expect=TRAINED) == [2.0, 1.0]
    online = OnlineFeatures(store, ["deep:vec"], expect=TRAINED)
    assert online.signature["fingerprints"] == TRAINED["fingerprints"]
    table.begin(NEW)
    write(table, NEW, b=3.0)
    with pytest.raises(HalfMaterialized):
        online.matrix([{"shop_id": "a"}])
    table.finish(NEW)
    with pytest.raises(SignatureMismatch, match=r"f1f1f1f1f1f1… .* f2f2f2f2f2f2… in the online"):
        online.matrix([{"shop_id": "a"}])
    assert look(store, "b") == [3.0]
    assert OnlineFeatures(store, ["deep:vec"]).signature["fingerprints"] == {"deep:vec": "f2" * 32}


def test_a_new_epoch_begins_without_rows_and_leaves_other_views_alone(store):
    table, other = table_of(store), table_of(store, "other")
    for each in (table, other):
        each.begin(OLD, bare=True)
        write(each, OLD, a=1.0, b=2.0)
        each.finish(OLD)
    table.begin(NEW)
    assert table.read([("a",), ("b",)], ["vec"]).times == [None, None]
    assert table.read([("a",)], ["vec"]).values == {"vec": [None]}
    assert other.read([("a",), ("b",)], ["vec"]).times == [AT, AT]
    assert other.seal() == OLD


def test_what_an_epoch_before_still_writes_never_arrives(store):
    late, table = table_of(store), table_of(store)
    late.begin(OLD, bare=True)
    table.begin(NEW)
    with pytest.raises(RunInProgress, match="begun anew by another run"):
        write(late, OLD, a=1.0)
    with pytest.raises(RunInProgress):
        late.finish(OLD)
    write(table, NEW, a=3.0)
    table.finish(NEW)
    assert look(store, "a") == [3.0]


@pytest.mark.parametrize("online_store", ["postgres"], indirect=True)
def test_what_slips_in_between_check_and_arrival_spoils_the_seal(store, monkeypatch):
    table = table_of(store)
    late = OnlineTable(store.provider.online_store, store.config, table.view)
    table.begin(OLD)
    insert = late.store.online_write_batch

    def overtaken(*args):
        monkeypatch.setattr(late.store, "online_write_batch", insert)
        table.begin(NEW)
        write(table, NEW, b=3.0)
        table.finish(NEW)
        insert(*args)

    monkeypatch.setattr(late.store, "online_write_batch", overtaken)
    with pytest.raises(RunInProgress):
        write(late, OLD, a=1.0)
    with pytest.raises(HalfMaterialized):
        look(store, "a")
    with pytest.raises(RunInProgress):
        table.finish(NEW)


def test_who_reads_while_others_begin_anew_never_gets_a_mixture(store):
    """Two encoders take turns at the store; what a reader gets is all of one, or a refusal."""
    table, answers, over = table_of(store), [], threading.Event()
    table.begin(OLD, bare=True)
    keys = [f"shop-{number}" for number in range(10)]

    def read():
        from feast import FeatureStore

        online = OnlineFeatures(FeatureStore(config=store.config), ["deep:vec"])
        while not over.is_set():
            try:
                answers.append(online.matrix([{"shop_id": key} for key in keys])[0][:, 0])
            except HalfMaterialized:
                answers.append(None)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(8):
            seal = dataclasses.replace(OLD, epoch=f"epoch-{turn}")
            table.begin(seal)
            for key in keys:
                write(table, seal, **{key: float(turn)})
            table.finish(seal)
            seen = len(answers)
            while len(answers) < seen + 2:
                time.sleep(0.001)
    finally:
        over.set()
        reader.join()
    whole = {str(set(answer.tolist())) for answer in answers if answer is not None}
    assert whole >= {"{0.0}", "{3.0}", "{7.0}"}
    assert whole <= {f"{{{float(turn)}}}" for turn in range(8)}


def test_an_epoch_goes_on_while_rows_are_added(store):
    table = table_of(store)
    table.begin(OLD, bare=True)
    table.finish(OLD)
    online = OnlineFeatures(store, ["deep:vec"], expect=TRAINED)
    write(table, OLD, a=1.0)
    assert online.matrix([{"shop_id": "a"}])[0].tolist() == [[1.0]]
    table.finish(dataclasses.replace(OLD, version=7, created=70))
    assert online.matrix([{"shop_id": "a"}])[0].tolist() == [[1.0]]
    assert table.seal().version == 7


def test_without_a_seal_nothing_can_be_expected(store):
    write(table_of(store), None, a=1.0)
    assert look(store, "a") == [1.0]
    with pytest.raises(SignatureMismatch, match="nobody knows which encoder"):
        look(store, "a", expect=TRAINED)


def test_keys_are_listed(store):
    table = table_of(store)
    table.begin(OLD, bare=True)
    write(table_of(store, "other"), None, c=1.0)
    write(table, OLD, a=1.0, b=2.0)
    assert sorted(*table.keys()) == [("a",), ("b",)]


@pytest.mark.parametrize("online_store", ["redis"], indirect=True)
def test_a_project_whose_name_ends_alike_is_left_alone(store, make_store, online_store):
    longer = store.config.model_copy(update={"project": f"my{store.project}"})
    theirs = online_table(store.provider.online_store, longer, store.get_feature_view("deep"))
    theirs.begin(OLD, bare=True)
    write(theirs, OLD, a=1.0)
    ours = table_of(store)
    write(ours, None, b=1.0)
    listed = ours.keys()
    assert [key for some in listed for key in some] == [("b",)]
    ours.begin(NEW)
    assert theirs.read([("a",)], ["vec"]).times == [AT]


@pytest.mark.parametrize("online_store", ["sqlite"], indirect=True)
def test_many_keys_are_read_between_two_looks_at_the_seal(store):
    table = table_of(store)
    table.begin(OLD, bare=True)
    table.finish(OLD)
    keys = [(str(number),) for number in range(3001)]
    assert table.read_sealed(keys, ["vec"]).seals == (OLD.to_bytes(),) * 2
    assert table.read_sealed(keys[:5], ["vec"]).seals == (OLD.to_bytes(),)


@pytest.mark.parametrize("online_store", ["sqlite"], indirect=True)
def test_a_store_of_another_kind_is_never_emptied(store):
    """Feast's interface alone, here over SQLite: what is there stays, and says what it is."""
    table = OnlineTable(store.provider.online_store, store.config, store.get_feature_view("deep"))
    assert table.keys() is None
    table.begin(OLD, bare=True)
    write(table, OLD, a=1.0)
    table.finish(OLD)
    rows = table.read_sealed([("a",)], ["vec"])
    assert rows.values == {"vec": [vector(1.0)]}
    assert rows.seals == (OLD.to_bytes(),) * 2
    with pytest.raises(SpecError, match="Give the view a new name"):
        table.begin(NEW)
    with pytest.raises(RunInProgress):
        write(table, NEW, a=2.0)
    assert look(store, "a", expect=TRAINED) == [1.0]


def test_a_seal_holds_the_version_of_a_table():
    later = Seal(OLD.fingerprints, OLD.generation, 9, 99, COLUMNS)
    assert OLD.holds(later)
    assert not OLD.broken().holds(later)
    assert not OLD.holds(NEW)
    assert not OLD.holds(dataclasses.replace(later, generation=2))
    assert not OLD.holds(dataclasses.replace(later, columns={"vec": ["other", None, "mean"]}))


def test_rows_of_a_feature_that_the_seal_does_not_know_are_refused():
    with pytest.raises(SignatureMismatch, match="deep:new"):
        check_seal("deep", OLD, {"new": "f1"})
    check_seal("deep", OLD, {"vec": "f1" * 32})
    check_seal("deep", None)
