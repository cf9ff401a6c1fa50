"""As of when labels are seen."""

import pandas as pd
import pytest

from deepfeast.transforms.errors import ColumnNotFound, JoinError
from deepfeast.transforms.history.retrieval import label_times


def test_a_static_table_is_seen_now():
    before = pd.Timestamp.now("UTC")
    times = label_times(pd.DataFrame({"id": ["a", "b"], "price": [1, 2]}, index=[7, 9]))
    assert list(times.index) == [7, 9]
    assert times.nunique() == 1
    assert before <= times[7] <= pd.Timestamp.now("UTC")


@pytest.mark.parametrize(
    "name", ["sold_at", "date", "Sale_Date", "event_timestmap", "time_of_sale"]
)
def test_a_name_that_looks_like_times_is_asked_about(name):
    with pytest.raises(ColumnNotFound, match=f"but '{name}', which looks like times"):
        label_times(pd.DataFrame({"id": ["a"], name: ["2024-05-01"]}))


def test_a_column_of_times_is_asked_about_whatever_its_name():
    with pytest.raises(ColumnNotFound, match="Rename the column"):
        label_times(pd.DataFrame({"id": ["a"], "when": [pd.Timestamp("2024-05-01")]}))


@pytest.mark.parametrize("name", ["latitude", "dated", "lifetime", "state", "year_built"])
def test_other_names_are_not_mistaken_for_times(name):
    assert len(label_times(pd.DataFrame({"id": ["a"], name: [1]}))) == 1


def test_given_times_are_read_and_must_all_be_there():
    given = pd.DataFrame({"event_timestamp": ["2024-05-01", None]})
    assert label_times(given[:1])[0].isoformat() == "2024-05-01T00:00:00+00:00"
    with pytest.raises(JoinError, match="1 label rows have no event_timestamp"):
        label_times(given)
