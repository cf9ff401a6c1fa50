from datetime import timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfeast.transforms.errors import JoinError
from deepfeast.transforms.history.asof import AsOf
from deepfeast.transforms.times import NEVER

SECOND = 10**9
KEY_TYPES = [pa.string(), pa.int64()]


def as_of(labels, rows, *, n_keys=1, ttl=None, known=False, cuts=()):
    """Labels are (*keys, time), rows are (*keys, time, created), in seconds."""
    columns = [pa.array([label[k] for label in labels], KEY_TYPES[k]) for k in range(n_keys)]
    times = np.array([label[-1] * SECOND for label in labels], np.int64)
    found = AsOf(columns, times, ttl=timedelta(seconds=ttl) if ttl else None, known=known)
    edges = [0, *sorted(cut for cut in cuts if cut <= len(rows)), len(rows)]
    for start, stop in pairwise(edges):
        part = rows[start:stop]
        keys = [pa.array([row[k] for row in part], KEY_TYPES[k]) for k in range(n_keys)]
        found.add(keys, ticks([row[-2] for row in part]), ticks([row[-1] for row in part]))
    return found.rows.tolist()


def ticks(seconds):
    return np.array([NEVER if s is None else s * SECOND for s in seconds], np.int64)


def obviously_right(labels, rows, *, n_keys=1, ttl=None, known=False):
    answer = []
    for *keys, now in labels:
        best = (-1, -1, -1)
        for number, (*row_keys, time, created) in enumerate(rows):
            if time is None or time > now or row_keys != keys or None in keys:
                continue
            if ttl and now - time > ttl:
                continue
            if known and (created is None or created > now):
                continue
            best = max(best, (time, -1 if created is None else created, number))
        answer.append(best[-1])
    return answer


@st.composite
def joins(draw):
    n_keys = draw(st.integers(0, 2))
    keys = [st.sampled_from(["x", "y", None]), st.sampled_from([1, 2, 3, None])][:n_keys]
    moment = st.integers(0, 9)
    labels = draw(st.lists(st.tuples(*keys, moment), max_size=8))
    maybe = st.one_of(st.none(), moment)
    rows = draw(st.lists(st.tuples(*keys, maybe, maybe), max_size=20))
    options = {
        "n_keys": n_keys,
        "ttl": draw(st.sampled_from([None, 1, 3])),
        "known": draw(st.booleans()),
    }
    return labels, rows, options, draw(st.lists(st.integers(0, 20), max_size=3))


@given(joins())
@settings(max_examples=400, deadline=None)
def test_every_join_is_what_plain_python_says(join):
    labels, rows, options, cuts = join
    assert as_of(labels, rows, **options, cuts=cuts) == obviously_right(labels, rows, **options)


def test_the_latest_row_at_or_before_the_label_counts():
    rows = [("a", 1, 0), ("a", 5, 0), ("b", 2, 0)]
    assert as_of([("a", 4), ("a", 5), ("a", 0), ("c", 9)], rows) == [0, 1, -1, -1]


def test_a_row_exactly_as_old_as_the_ttl_still_counts():
    assert as_of([("a", 10), ("a", 11)], [("a", 7, 0)], ttl=3) == [0, -1]


def test_of_equal_event_times_the_last_created_wins_then_the_last_written():
    assert as_of([("a", 9)], [("a", 5, 3), ("a", 5, 8), ("a", 5, 4)]) == [1]
    assert as_of([("a", 9)], [("a", 5, 3), ("a", 5, 3)]) == [1]


def test_a_value_backfilled_later_was_not_known():
    rows = [("a", 3, 3), ("a", 5, 20)]
    assert as_of([("a", 9)], rows) == [1]
    assert as_of([("a", 9)], rows, known=True) == [0]


def test_looking_further_back_stops_at_the_labels_own_key():
    rows = [("a", 1, 1), ("b", 2, 9)]
    assert as_of([("a", 5), ("b", 5)], rows, known=True) == [0, -1]


def test_a_history_backfilled_as_a_whole_is_walked_back_quickly():
    n = 200_000
    times = np.arange(n) * SECOND
    created = np.full(n, n * SECOND)
    created[0] = 0
    labels = AsOf([], np.full(1000, n * SECOND - 1), known=True)
    labels.add([], times, created)
    assert set(labels.rows) == {0}


def test_null_keys_match_nothing_not_even_each_other():
    assert as_of([(None, 9)], [(None, 1, 0)]) == [-1]


def test_keys_of_another_width_or_text_kind_still_match():
    labels = AsOf([pa.array([7, 300], pa.int64())], np.array([9, 9]))
    labels.add([pa.array([7], pa.int8())], np.array([1]))
    assert labels.rows.tolist() == [0, -1]
    labels = AsOf([pa.array(["a"]).dictionary_encode()], np.array([9]))
    labels.add([pa.array(["a"], pa.large_string())], np.array([1]))
    assert labels.rows.tolist() == [0]


def test_text_never_matches_numbers_and_says_so():
    labels = AsOf([pa.array(["7"])], np.array([9]))
    with pytest.raises(JoinError, match="labels' key is string, the feature rows' key is int64"):
        labels.add([pa.array([7])], np.array([1]))


def test_no_labels_and_no_rows_are_no_error():
    assert as_of([], [("a", 1, 1)]) == []
    assert as_of([("a", 1)], []) == [-1]
