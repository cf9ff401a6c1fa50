"""Groups of rows as the view declares them."""

from datetime import datetime, timezone

import pandas as pd
import pyarrow as pa
import pytest

from deepfeast.transforms.errors import DriftError
from deepfeast.transforms.features import GROUPS_TAG
from deepfeast.transforms.monitoring.groups import declared_groups, numbered

JANUARY = datetime(2024, 1, 1, tzinfo=timezone.utc)


def declared(shirts, named):
    view = shirts.store.get_feature_view("deep")
    view.tags = {**view.tags, GROUPS_TAG: named}
    shirts.store.apply([view])
    return declared_groups(shirts.store.config, view.batch_source)


def test_the_column_that_a_view_declares_gives_rows_their_groups(shirts, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # the repo is found wherever one stands
    sellers = {"a": "ann", "b": "bob", "c": "ann", "d": None}
    shirts.write([{"id": key, "title": "hat", "seller": sellers[key]} for key in sellers])
    rows = pa.table({"id": [*"abcde"], "event_timestamp": pa.array([JANUARY] * 5)})
    assert declared_groups(shirts.store.config, shirts.store.get_data_source("raw")) is None
    assert declared(shirts, "seller")(rows).tolist() == [0, 1, 0, 2, 3]
    assert declared(shirts, "id")(rows.take([0, 0, 1])).tolist() == [0, 0, 1]
    with pytest.raises(DriftError, match="groups='sel' of view 'deep': nothing called 'sel'"):
        declared(shirts, "sel")(rows)


def test_a_row_without_a_group_is_one_of_its_own():
    groups, unknown = numbered(pd.Series([None, "a", None, "a"]))
    assert (groups.tolist(), unknown) == ([1, 0, 2, 0], 2)
    assert numbered(pd.Series([], dtype=object))[1] == 0
