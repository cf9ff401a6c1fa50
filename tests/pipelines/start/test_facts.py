import pyarrow as pa
import pytest

from deepfeast.pipelines.start.facts import Facts


def facts(*cells, decimal=".", name="x"):
    return Facts(name, pa.chunked_array([pa.array(list(cells))]), decimal)


@pytest.mark.parametrize(
    ("cells", "decimal", "found"),
    [
        (["1.5", "2"], ".", (1.0, ".")),
        (["1,5", "2"], ".", (1.0, ",")),
        (["1,234", "2,500"], ".", (1.0, ".")),
        (["1,234", "2,500"], ",", (1.0, ",")),
        (["1", "2", "x", "y"], ".", (0.5, ".")),
        ([1, 2], ".", (1.0, ".")),
    ],
)
def test_a_column_says_by_which_sign_its_decimals_are_set_off(cells, decimal, found):
    assert facts(*cells, decimal=decimal).number_share == found


def test_missing_and_blank_cells_are_told_apart_from_values():
    one = facts("a", " ", None, "a")
    assert (one.missing, one.distinct, one.unique) == (2, 1, False)


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (["2024-05-01", "2024-05-02 10:00"], "ISO8601"),
        (["31.12.2024", "1.5.2024"], "%d.%m.%Y"),
        (["05/31/2024"], "%m/%d/%Y"),
        (["May 3, 2024"], "%b %d, %Y"),
        (["20240501"], None),
        (["red", "blue"], None),
    ],
)
def test_times_are_known_by_how_they_are_written(cells, form):
    assert facts(*cells).time_format == form


def test_ids_that_begin_with_a_zero_are_no_numbers():
    assert facts("1", "25").whole_ids
    assert not facts("01", "25").whole_ids
    assert facts("a-1", "b-2").is_code
    assert not facts("red shirt", "b").is_code
