"""What a lookup is asked with: rows of all kinds, cells of any."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from deepfeast.transforms.errors import JoinError
from deepfeast.transforms.online.cells import cast_cells, read_rows, typed


def test_what_is_missing_is_none_whatever_it_is_called():
    missing = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")]
    asked = read_rows([{"id": cell} for cell in [*missing, "a", 0, ""]])
    assert asked.columns == {"id": [None] * 6 + ["a", 0, ""]}
    frame = pd.DataFrame({"id": pd.array([1, None], "Int64")}, index=[7, 3])
    assert read_rows(frame).columns == {"id": [1, None]}
    assert list(read_rows(frame).index) == [7, 3]


def test_rows_may_come_through_arrow():
    assert read_rows(pa.table({"id": ["a", None]})).columns == {"id": ["a", None]}


def test_a_row_that_is_none_is_named_and_the_others_are_read():
    asked = read_rows([{"id": "a"}, "b", None, ["c"], {"id": "d"}])
    assert asked.columns == {"id": ["a", None, None, None, "d"]}
    assert sorted(asked.bad) == [1, 2, 3]
    with pytest.raises(JoinError, match=r"3 of 5 rows .*row 1: .*got 'b'; row 2: .*None; row 3"):
        asked.refuse()
    for rows in ({"id": "a"}, "a", None):
        with pytest.raises(JoinError, match="expected a list of rows"):
            read_rows(rows)


@pytest.mark.parametrize("cell", [5.5, True, "abc", 2**70, -(2**63) - 1, ["a"], {}, b"5", np.inf])
def test_what_is_no_whole_number(cell):
    (value,), bad = cast_cells([cell], "INT64")
    assert value is None
    assert bad[0].startswith("expected a whole number (INT64), got ")


def test_whole_numbers_keep_their_last_digit():
    cells = [5, np.int32(5), 5.0, "5", 2**63 - 1, None]
    assert cast_cells(cells, "INT64") == ([5, 5, 5, 5, 2**63 - 1, None], {})
    assert list(cast_cells([2**31], "INT32")[1]) == [0]


def test_texts_and_other_kinds():
    assert cast_cells(["a", 5, np.int64(6), None], "STRING") == (["a", "5", "6", None], {})
    assert sorted(cast_cells(["\ud800", 5.5, True, ["a"], b"a"], "STRING")[1]) == [0, 1, 2, 3, 4]
    assert cast_cells(["\ud800"], "STRING")[0] == [None]
    assert cast_cells([1, "0.5", True, "x"], "DOUBLE")[0] == [1.0, 0.5, None, None]
    assert cast_cells([True, np.False_, 1], "BOOL")[0] == [True, False, None]
    assert cast_cells([b"a", "a", ["a"]], "BYTES")[0] == [b"a", None, None]
    assert cast_cells([[1.0, 2.0]], "FLOAT_LIST") == ([[1.0, 2.0]], {})


def test_columns_have_the_types_of_the_training_frame():
    assert typed([1, 2], "INT32").dtype == np.int32
    assert str(typed([True, None], "BOOL").dtype) == "boolean"
    assert typed(["a", None], "STRING").tolist() == ["a", None]
