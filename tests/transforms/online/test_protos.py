"""Column bytes are what Feast itself would write, and come back as they were."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfeast.transforms.online.protos import (
    EntityKeys,
    as_list,
    python_value,
    to_numbers,
    to_scalars,
    to_values,
    to_vectors,
)


def kind(name):
    from feast import ValueType

    return getattr(ValueType, name)


def feast_bytes(column, name):
    from feast.type_map import python_values_to_proto_values

    rows = list(column.to_numpy(zero_copy_only=False))
    return [v.SerializeToString() for v in python_values_to_proto_values(rows, kind(name))]


COLUMNS = {
    "INT64": pa.array([1, -5, 0, 2**40], pa.int64()),
    "INT32": pa.array([7, -7, 0, 1], pa.int32()),
    "DOUBLE": pa.array([1.5, 0.0, None, float("nan")], pa.float64()),
    "FLOAT": pa.array([0.1, 0.0, None, 2.0], pa.float32()),
    "STRING": pa.array(["red", "", None, "ü"], pa.string()),
    "BYTES": pa.array([b"\x00", b"", None, b"x"], pa.binary()),
    "BOOL": pa.array([True, False, None, True], pa.bool_()),
    "FLOAT_LIST": pa.array([[1.0, 2.0], None, [], [3.0, 4.0, 5.0]], pa.list_(pa.float32())),
    "DOUBLE_LIST": pa.array([[1.0, 2.0], None, [], [3.0]], pa.list_(pa.float64())),
    "STRING_LIST": pa.array([["a", "b"], ["c"], [], None], pa.list_(pa.string())),
    "UNIX_TIMESTAMP": pa.array([0, 86_400_000_000, 1, 2], pa.timestamp("us", "UTC")),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_bytes_are_feasts_own(name):
    assert to_values(COLUMNS[name], kind(name)) == feast_bytes(COLUMNS[name], name)


def test_a_whole_number_too_large_for_its_type_is_refused_and_may_be_rounded_or_told():
    column = pa.array([2**63, None], pa.uint64())
    with pytest.raises(OverflowError, match="9223372036854775808 not in range"):
        to_values(column, kind("INT64"))
    with pytest.raises(OverflowError, match="128000000000"):
        to_values(pa.array([128_000_000_000]), kind("INT32"))
    rounded = to_values(column, kind("DOUBLE"))
    assert rounded == feast_bytes(pa.array([2.0**63, None]), "DOUBLE")
    assert to_values(column, kind("STRING")) == feast_bytes(
        pa.array(["9223372036854775808", None]), "STRING"
    )


def test_an_int_feature_in_a_float_column_is_written_as_feast_does():
    column = pa.array([3.0, float("nan")], pa.float64())
    assert to_values(column, kind("INT64")) == feast_bytes(column, "INT64")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.none() | st.lists(st.floats(width=32, allow_nan=False), min_size=3, max_size=3)))
def test_vectors_come_back_as_they_were(vectors):
    values = to_values(pa.array(vectors, pa.list_(pa.float32())), kind("FLOAT_LIST"))
    matrix = to_vectors(values, 3, kind("FLOAT_LIST"))
    expected = [[np.nan] * 3 if vector is None else vector for vector in vectors]
    np.testing.assert_array_equal(matrix, np.array(expected, np.float32).reshape(-1, 3))


def test_slices_chunks_and_fixed_sizes_are_read_alike():
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    plain = to_values(pa.array(rows[1:], pa.list_(pa.float32())), kind("FLOAT_LIST"))
    for column in (
        pa.array(rows, pa.list_(pa.float32()))[1:],
        pa.array(rows, pa.list_(pa.float32(), 2))[1:],
        pa.array(rows, pa.large_list(pa.float64()))[1:],
        pa.chunked_array([[rows[1]], [rows[2]]], pa.list_(pa.float32())),
    ):
        assert to_values(column, kind("FLOAT_LIST")) == plain


def test_a_vector_of_another_length_is_named():
    values = to_values(pa.array([[1.0, 2.0], [3.0]], pa.list_(pa.float32())), kind("FLOAT_LIST"))
    with pytest.raises(ValueError, match="row 1 has 1 numbers, expected 2"):
        to_vectors(values, 2, kind("FLOAT_LIST"))


def test_scalars_and_numbers_come_back():
    for name, expected in (
        ("INT64", [1, -5, 0, 2**40]),
        ("DOUBLE", [1.5, 0.0, None, None]),
        ("STRING", ["red", "", None, "ü"]),
        ("BOOL", [True, False, None, True]),
        ("STRING_LIST", [["a", "b"], ["c"], [], None]),
    ):
        values = to_values(COLUMNS[name], kind(name))
        assert [
            v or None if name == "STRING_LIST" else v for v in to_scalars(values, kind(name))
        ] == [v or None if name == "STRING_LIST" else v for v in expected]
    values = to_values(COLUMNS["DOUBLE"], kind("DOUBLE"))
    np.testing.assert_array_equal(to_numbers(values, kind("DOUBLE")), [1.5, 0, np.nan, np.nan])
    np.testing.assert_array_equal(to_numbers(values[:2], kind("DOUBLE")), [1.5, 0])
    with pytest.raises(TypeError, match="STRING is no number"):
        to_numbers([b""], kind("STRING"))


@pytest.mark.parametrize(
    "names, key",
    [
        ({"b": "STRING", "a": "INT64"}, ("x", 5)),
        ({"id": "STRING"}, ("ü",)),
        ({"id": "INT64"}, (-1,)),
        ({"id": "INT32"}, (7,)),
        ({"id": "BYTES"}, (b"\x01",)),
    ],
)
def test_entity_keys_are_feasts_own(names, key):
    from feast.infra.key_encoding_utils import serialize_entity_key

    keys = EntityKeys({name: kind(value) for name, value in names.items()})
    assert keys.to_bytes(key) == serialize_entity_key(keys.to_proto(key), 3)


def test_packed_vectors_are_values_of_bytes_and_stand_beside_lists():
    vectors = pa.array([[127.0, -3.0, 0.0], None, [254.0, 1.0, -9.0]], pa.list_(pa.float32()))
    small = to_values(vectors, kind("FLOAT_LIST"), "int8")
    assert [len(value) for value in small] == [2 + 2 + 3, 0, 2 + 2 + 3]
    # The second scale is 2, so that its odd numbers are rounded: 1 to 0, -9 to -8.
    expected = [[127, -3, 0], [254, 0, -8]]
    assert to_vectors([small[0], small[2]], 3, kind("FLOAT_LIST")).tolist() == expected
    large = to_values(vectors, kind("FLOAT_LIST"))
    mixed = to_vectors([small[2], None, large[2]], 3, kind("FLOAT_LIST"))
    assert mixed[[0, 2]].tolist() == [[254, 0, -8], [254, 1, -9]]
    assert np.isnan(mixed[1]).all()
    assert [python_value(as_list(value)) for value in (small[0], large[0], b"")] == [
        [127, -3, 0],
        [127, -3, 0],
        None,
    ]
    with pytest.raises(ValueError, match="row 0 has 3 numbers, expected 4"):
        to_vectors(small, 4, kind("FLOAT_LIST"))
