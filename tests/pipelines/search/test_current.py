from datetime import datetime, timezone

import numpy as np
import pytest

from deepfeast.pipelines.search.current import CurrentRows
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.views import find_deep_view


@pytest.fixture
def current(wardrobe):
    """Return the current rows as of a day of January."""
    view, _ = find_deep_view(wardrobe.store, "deep")
    table = embedding_table(wardrobe.store, view)

    def of(day):
        return CurrentRows.of(view, table, datetime(2024, 1, day, tzinfo=timezone.utc))

    return of


def vectors(rows, at=None):
    keys, (matrix,) = rows.read(["vec"], at)
    return dict(zip(keys["id"].to_pylist(), map(str, matrix.tolist()), strict=True))


def test_each_key_has_its_latest_vector_of_then(current):
    first, second = vectors(current(1)), vectors(current(2))
    assert sorted(first) == sorted(second) == ["a", "b", "c", "d", "e", "f"]
    assert (first["c"], second["c"]) == ("[3.0, 0.0]", "[3.0, 5.0]")
    assert first["e"] == "[nan, nan]"


def test_some_rows_are_read_alone(current):
    rows = current(2)
    some = vectors(rows, np.array([1, 3]))
    assert len(some) == 2
    assert some.items() <= vectors(rows).items()
