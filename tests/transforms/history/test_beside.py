"""Columns beside rows of a deep view, as of each row's time."""

from datetime import datetime, timedelta, timezone

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureView, Field, FileSource
from feast.types import Int64

from deepfeast.transforms.errors import ColumnNotFound
from deepfeast.transforms.history.beside import TIME, column_beside, handcrafted_names, raw_column
from deepfeast.transforms.views import find_deep_view

JANUARY = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def shop(shirts):
    """A shirt that was renamed and moved to another shelf on the fifth of January."""
    later = JANUARY + timedelta(days=4)
    rows = [
        {"id": "a", "title": "red", "shelf": 1},
        {"id": "a", "title": "blue", "shelf": 2, TIME: later},
        {"id": "b", "title": None, "shelf": 3},
    ]
    shirts.write([{name: row[name] for name in row if name != "shelf"} for row in rows])
    shelves = pd.DataFrame([{TIME: JANUARY, **row} for row in rows]).drop(columns="title")
    shelves.to_parquet(shirts.folder / "shelves.parquet")
    source = FileSource(name="shelves", path="shelves.parquet", timestamp_field=TIME)
    schema = [Field(name="shelf", dtype=Int64)]
    shelf = FeatureView(name="shelf", entities=[shirts.entity], schema=schema, source=source)
    shirts.store.apply([source, shelf])
    return shirts, *find_deep_view(shirts.store, "deep")


def asked(*rows):
    keys, days = zip(*rows, strict=True)
    times = [JANUARY + timedelta(days=day) for day in days]
    return pa.table({"id": list(keys), TIME: pa.array(times)})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("title", ["blue", "red", None, None]),
        ("shelf", [2, 1, 3, None]),
        ("id", ["a", "a", "b", "zz"]),
    ],
)
def test_a_column_is_that_of_its_rows_time_wherever_it_lies(shop, name, values):
    shirts, view, spec = shop
    rows = asked(("a", 9), ("a", 1), ("b", 1), ("zz", 1))
    found = column_beside(shirts.store, view, spec, rows, name)
    assert [None if pd.isna(one) else one for one in found] == values


def test_a_column_that_is_nowhere_is_named_with_those_that_are(shop):
    shirts, view, spec = shop
    assert list(handcrafted_names(shirts.store, view)) == ["shelf"]
    with pytest.raises(ColumnNotFound, match=r"nothing called 'titel'.*id, shelf.*'title'"):
        column_beside(shirts.store, view, spec, asked(("a", 1)), "titel")


def test_a_raw_column_comes_with_the_folder_of_its_photos(shop):
    shirts, view, spec = shop
    frame = asked(("a", 9)).to_pandas()
    column, root = raw_column(shirts.store, view, spec, "title", frame)
    assert (column.to_pylist(), root) == (["blue"], str(shirts.folder))
