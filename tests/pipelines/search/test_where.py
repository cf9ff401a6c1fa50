from datetime import datetime, timezone

import pyarrow as pa
import pytest

from deepfeast.pipelines.search.where import matching
from deepfeast.transforms.times import EVENT_TIME
from deepfeast.transforms.views import find_deep_view


@pytest.fixture
def ask(wardrobe):
    """Ask of three keys, as of a day of January."""
    view, _ = find_deep_view(wardrobe.store, "deep")

    def asked(where, day=9):
        time = datetime(2024, 1, day, tzinfo=timezone.utc)
        times = pa.array([time] * 3, EVENT_TIME)
        rows = pa.table({"id": ["b", "a", "none"], "event_timestamp": times})
        passed, values = matching(wardrobe.store, view, rows, where)
        return passed.tolist(), values.to_pydict()

    return asked


def test_values_are_as_of_the_time_however_old(ask):
    assert ask("price > 8", 2) == ([True, False, False], {"price": [9, 5, None]})
    assert ask("price > 8", 9) == ([True, True, False], {"price": [9, 50, None]})


def test_what_is_not_known_passes_where_it_is_asked_for(ask):
    assert ask("price IS NULL")[0] == [False, False, True]


def test_a_filter_of_keys_alone_needs_no_values(ask):
    assert ask("id IN ('a', 'none')") == ([False, True, True], {})
