"""One view of a lookup: keys of declared types, and what is too old left out."""

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest

from deepfeast.transforms.errors import JoinError
from deepfeast.transforms.lookup import OnlineFeatures
from deepfeast.transforms.online.cells import read_rows
from deepfeast.transforms.online.protos import to_values
from deepfeast.transforms.online.table import OnlineRows

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def shops(make_store):
    """Shops by a whole number and a region, with sizes 10 and 20, kept for 30 days."""
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Int64

    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)
    region = Entity(name="region", join_keys=["region"], value_type=ValueType.STRING)
    view = FeatureView(
        name="shops",
        entities=[shop, region],
        schema=[Field(name="size", dtype=Int64)],
        source=FileSource(name="file", path="shops.parquet", timestamp_field="at"),
        ttl=30 * DAY,
    )
    store = make_store(shop, region, view)
    online = OnlineFeatures(store, ["shops:size"])
    sizes: list[bytes | None] = list(to_values(pa.array([10, 20]), ValueType.INT64))
    rows = OnlineRows([(1, "n"), (2, "n")], [START, START - 40 * DAY], {"size": sizes})
    online._views[0].table.write_newer(rows)
    return online


def statuses(shops, rows, **options):
    frame, told = shops.frame(rows, statuses=True, now=START, **options)
    return list(
        zip(
            frame["size"].astype(object).where(frame["size"].notna(), None),
            told["size"],
            strict=True,
        )
    )


def test_keys_take_the_declared_type_and_one_that_is_incomplete_is_missing(shops):
    rows = [{"shop_id": 1.0, "region": "n"}, {"shop_id": "1", "region": "n"}, {"shop_id": 1}]
    (view,) = shops._views
    assert view.keys(read_rows(rows)) == [(1, "n"), (1, "n"), None]
    assert statuses(shops, rows) == [(10, "present"), (10, "present"), (None, "missing")]


def test_what_is_too_old_is_left_out(shops):
    rows = [{"shop_id": number, "region": "n"} for number in (2, 3)]
    assert statuses(shops, rows) == [(None, "expired"), (None, "missing")]


@pytest.mark.parametrize("key", [5.5, True, "abc", 2**70, ["a"]])
def test_a_wrong_key_is_named_with_its_row_and_what_was_expected(shops, key):
    rows = [{"shop_id": 1, "region": "n"}, {"shop_id": key, "region": "n"}]
    with pytest.raises(JoinError, match=r"row 1: key 'shop_id': expected a whole number \(INT64\)"):
        shops.frame(rows)
    with pytest.raises(JoinError, match=r"1 of 2 rows cannot be looked up"):
        shops.matrix(rows)
    assert statuses(shops, rows, bad_rows="reject") == [(10, "present"), (None, "rejected")]


@pytest.mark.parametrize("row", [None, "a", ["a"], 5])
def test_a_row_that_is_none_never_fails_the_others(shops, row):
    rows = [row, {"shop_id": 1, "region": "n"}]
    with pytest.raises(JoinError, match=r"row 0: expected a row such as"):
        shops.frame(rows)
    assert statuses(shops, rows, bad_rows="reject") == [(None, "rejected"), (10, "present")]
    assert statuses(shops, [row], bad_rows="reject") == [(None, "rejected")]


def test_a_given_feature_of_another_type_is_named(shops):
    rows = [{"shop_id": 7, "region": "n", "size": size} for size in (7, "many", None)]
    with pytest.raises(JoinError, match=r"row 1: feature 'size': expected a whole number"):
        shops.frame(rows)
    assert statuses(shops, rows, bad_rows="reject") == [
        (7, "given"),
        (None, "rejected"),
        (None, "missing"),
    ]


def test_all_bad_rows_are_told_of_at_once(shops):
    rows = [{"shop_id": "x", "region": "n"}] * 5
    with pytest.raises(JoinError, match=r"5 of 5 rows .*row 2: .*and 2 more.*bad_rows='reject'"):
        shops.frame(rows)
    with pytest.raises(JoinError, match="expected 'raise' or 'reject'"):
        shops.frame(rows, bad_rows="ignore")
