import numpy as np
import pytest

from deepfeast.pipelines.drift.rows import WindowRows
from deepfeast.pipelines.drift.span import read_span
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.errors import DriftError
from deepfeast.transforms.views import find_deep_view

LATER = "2024-03-01.."
OLD = "2024-01-01..2024-01-31"


def opened(shirts, reference=OLD, recent=LATER, **options):
    view, _ = find_deep_view(shirts.store, "deep")
    table = embedding_table(shirts.store, view)
    rows = WindowRows.of(view, table, read_span(reference), read_span(recent), **options)
    return rows, table


def test_rows_of_both_windows_with_what_is_missing_and_what_rejected(shop):
    rows, table = opened(shop)
    assert rows.counts == (120, 120)
    assert rows.recent.sum() == 120
    ids = np.array(rows.keys["id"].to_pylist())
    assert all(one.startswith("i2") for one in ids[rows.recent])
    gone = np.isnan(rows.vectors("vec")[:, 0])
    rejected = rows.rejected(table, ["vec"])["vec"]
    assert set(ids[rejected]) == {f"i2{number:03d}" for number in range(5, 120, 12)}
    assert set(ids[gone & ~rejected]) == {f"i2{number:03d}" for number in range(3, 120, 12)}


def test_of_many_rows_some_are_drawn_of_each_window(shop):
    rows, _ = opened(shop, most=50)
    assert (len(rows), rows.recent.sum(), rows.counts) == (100, 50, (120, 120))


def test_a_row_that_was_written_again_counts_once(shirts):
    times = {"event_timestamp": read_span(OLD).start}
    new = {"event_timestamp": read_span(LATER).start}
    shirts.write([{"id": "a", "title": "red", **times}, {"id": "b", "title": "red", **new}])
    shirts.embed()
    shirts.write([{"id": "a", "title": "blue", **times}, {"id": "b", "title": "red", **new}])
    shirts.embed()
    rows, _ = opened(shirts)
    assert rows.counts == (1, 1)
    assert rows.vectors("vec")[:, 0].tolist() == [3, 4] or rows.vectors("vec")[0, 0] == 4


@pytest.mark.parametrize(
    ("reference", "recent", "told"),
    [
        ("2020-01-01..2020-12-31", LATER, "reference window .* has no rows .* 2024-01-01 00:00 to"),
        (OLD, "2025-01-01..", "recent window .* has no rows"),
        (OLD, "2024-01-15..", "overlap"),
    ],
)
def test_windows_that_cannot_be_compared_are_told(shop, reference, recent, told):
    with pytest.raises(DriftError, match=told):
        opened(shop, reference, recent)
