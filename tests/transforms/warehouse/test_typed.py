"""One type a column, whoever read it."""

import decimal
import uuid

import pyarrow as pa
import pytest

from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.warehouse.typed import conform, declared, plain


def numeric(*texts):
    """A column as the driver brings numbers of any length."""
    return pa.ExtensionArray.from_storage(
        pa.opaque(pa.string(), "numeric", "PostgreSQL"), pa.array(texts, pa.string())
    )


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array([decimal.Decimal("1.25"), None]), pa.array([1.25, None])),
        (numeric("1.25", "-Infinity", None), pa.array([1.25, float("-inf"), None])),
        (pa.nulls(2), pa.array([None, None], pa.string())),
        (pa.chunked_array([[1], [2]]), pa.array([1, 2])),
    ],
)
def test_a_column_becomes_plain(column, found):
    assert plain(column).equals(found)


def test_an_id_of_16_bytes_becomes_text():
    one = uuid.UUID("4cdf3195-6ef1-4087-a650-3bdeaebaf6ea")
    column = pa.array([one.bytes, None], pa.binary(16))
    ids = pa.ExtensionArray.from_storage(pa.uuid(), column)
    assert plain(ids).to_pylist() == [str(one), None]


def test_declared_types_are_kept_and_a_float_stays_as_long_as_it_is():
    batch = pa.table({"n": [1.0, None], "f": pa.array([0.1, 0.2], pa.float32()), "x": ["a", "b"]})
    made = conform(batch, {"n": pa.int64(), "f": pa.float64()}, "source 's'")
    assert made.schema.types == [pa.int64(), pa.float32(), pa.string()]
    assert made["n"].to_pylist() == [1, None]


def test_later_batches_agree_with_the_first():
    first = conform(pa.table({"f": pa.array([0.5], pa.float32())}), {}, "source 's'")
    later = conform(pa.table({"f": pa.array([0.5])}), {}, "source 's'", first.schema)
    assert later.schema == first.schema


@pytest.mark.parametrize("column", [pa.array(["many"]), pa.array([1.5]), numeric("1e400")])
def test_a_value_that_is_not_as_declared_names_its_column(column):
    with pytest.raises(SourceError, match=r"source 's': the column 'n' comes as .* to be int64"):
        conform(pa.table({"n": column}), {"n": pa.int64()}, "source 's'")


def test_a_view_declares_keys_and_features(shirts):
    found = declared(shirts.store.get_feature_view("deep"))
    assert found == {"id": pa.string(), "vec": pa.list_(pa.float32())}
