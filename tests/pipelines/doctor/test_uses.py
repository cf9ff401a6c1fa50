"""What views read, and whether columns fit."""

import pyarrow as pa
import pytest
from feast import Entity, FeatureView, Field, ValueType
from feast.types import Int64, String

from deepfeast.pipelines.doctor.uses import Use, check_columns, fits, uses
from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms import DeepFeature, deep_feature_view
from deepfeast.transforms.warehouse.pull import Asked

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
SHIRT = Entity(name="shirt", join_keys=["id"], value_type=ValueType.STRING)


def test_views_and_the_raw_sources_of_deep_views_are_listed_files_are_not(
    make_store, postgres, shirts
):
    mapped = {"number": "id", "body": "title"}
    raw = postgres.source("notes", "at", created_timestamp_column="written", field_mapping=mapped)
    features = [DeepFeature("vec", column="title", encoder=WORDS)]
    deep = deep_feature_view(name="deep", entities=[SHIRT], source=raw, features=features)
    fields = [Field(name="id", dtype=String), Field(name="n", dtype=Int64)]
    plain = FeatureView(
        name="plain", entities=[SHIRT], schema=fields, source=postgres.source("stock")
    )
    store = make_store(
        SHIRT, raw, deep, plain, offline_store={"type": STORE, "warehouse": postgres.block}
    )
    found = {use.view: use for use in uses(store, store.list_feature_views())}
    assert found["deep"].asked.columns == ["number", "body", "at", "written"]
    assert found["deep"].types == {"number": pa.string()}
    assert found["deep"].contents == ("body",)
    assert found["plain"].asked.columns == ["id", "n", "event_timestamp"]
    assert found["plain"].types == {"id": pa.string(), "n": pa.int64()}
    assert uses(shirts.store, shirts.store.list_feature_views()) == []


def test_columns_that_lack_or_do_not_fit_are_named(postgres):
    asked = Asked(postgres.source("stock"), ("id",), ("units", "price", "text"), "at")
    types = {"id": pa.string(), "units": pa.int32(), "price": pa.float64()}
    use = Use("stock", asked, types, contents=("text",))
    names = {"id": "text", "unit": "int", "price": "text", "text": "integer", "at": "date"}
    comes = {"id": pa.string(), "price": pa.string(), "text": pa.int32(), "unit": None}
    lacks, price, text = check_columns(use, names, comes)
    assert (lacks.level, price.level, text.level) == ("error", "warning", "error")
    assert lacks.what.startswith("no column 'units' in its source 'stock'.")
    assert "Did you mean 'unit'?" in lacks.what
    assert "'price' of its source 'stock' is text and is declared as double" in price.what
    assert "'text' of its source 'stock' is integer" in text.what


@pytest.mark.parametrize(
    ("comes", "wanted", "so"),
    [
        (pa.float32(), pa.float64(), True),
        (pa.float64(), pa.float32(), True),
        (pa.int64(), pa.float64(), True),
        (pa.float64(), pa.int64(), False),
        (pa.date32(), pa.timestamp("us", "UTC"), True),
        (pa.int64(), pa.timestamp("us", "UTC"), False),
        (pa.int64(), pa.string(), True),
        (pa.list_(pa.string()), pa.string(), False),
        (pa.list_(pa.float64()), pa.list_(pa.float32()), True),
        (pa.string(), pa.list_(pa.float32()), False),
        (pa.string(), pa.bool_(), False),
    ],
)
def test_types_fit_where_every_value_does(comes, wanted, so):
    assert fits(comes, wanted) == so
