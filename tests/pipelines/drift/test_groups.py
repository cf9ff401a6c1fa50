from datetime import datetime, timezone

import pandas as pd
import pyarrow as pa
import pytest

from deepfeast.pipelines.drift.groups import find_groups
from deepfeast.pipelines.search.where import TIME
from deepfeast.transforms.errors import DriftError
from deepfeast.transforms.views import find_deep_view

JANUARY = datetime(2024, 1, 28, tzinfo=timezone.utc)

IDS = ["i0001", "i0041", "i0002", "i0000"]


def groups(shirts, named, labels=None, ids=IDS):
    keys = pa.table({"id": ids, TIME: pa.array([JANUARY] * len(ids))})
    view, spec = find_deep_view(shirts.store, "deep")
    codes, told, notes = find_groups(shirts.store, view, spec, keys, named, labels)
    return codes.tolist(), told, notes


def test_by_default_rows_of_one_key_and_the_reader_is_warned(shop):
    codes, told, (note,) = groups(shop, None, ids=["a", "b", "a"])
    assert (codes, told) == ([0, 1, 0], "rows of one id")
    assert "no --groups" in note
    assert groups(shop, "id", ids=["a", "b", "a"])[0] == [0, 1, 0]


def test_by_a_column_of_the_raw_source(shop):
    codes, told, (note,) = groups(shop, "seller")
    assert (codes, told) == ([0, 0, 1, 2], "rows of one seller")
    assert "1 rows have no seller" in note


def test_by_a_column_of_the_labels_and_of_a_file(shop, tmp_path):
    labels = pd.DataFrame({"id": IDS[:3], "host": [5, 6, 6]})
    assert groups(shop, "host", labels)[0] == [0, 1, 1, 2]
    path = tmp_path / "groups.parquet"
    labels.rename(columns={"host": "duplicate_group"}).assign(group_size=1).to_parquet(path)
    assert groups(shop, str(path))[0] == [0, 1, 1, 2]
    labels.assign(other=1).to_parquet(path)
    with pytest.raises(DriftError, match="expected the entity keys, and one column"):
        groups(shop, str(path))


def test_by_a_handcrafted_column_as_of_the_rows_time(shop):
    assert groups(shop, "shelf")[0] == [0, 0, 1, 2]
    with pytest.raises(DriftError, match=r"nothing called 'shelv'.*id, shelf.*title"):
        groups(shop, "shelv")


def test_of_one_group_nobody_can_say_what_is_luck(shop):
    with pytest.raises(DriftError, match="are one group"):
        groups(shop, "seller", ids=["i0001", "i0041"])
    with pytest.raises(DriftError, match="no row of the windows has a seller"):
        groups(shop, "seller", ids=["i0000", "zz"])
