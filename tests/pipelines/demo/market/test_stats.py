"""The handcrafted columns: what was measured, with noise, gaps and corrections."""

import numpy as np
import pandas as pd
import pytest

from deepfeast.pipelines.demo.market.stats import stats_table


@pytest.fixture(scope="module")
def measured(items):
    """Return the table of 800 items."""
    return stats_table(items[:800], np.random.default_rng(0)).to_pandas()


def latest(measured):
    return measured.drop_duplicates("listing_id", keep="last").set_index("listing_id")


def test_every_item_is_measured_more_than_once_from_its_first_day_on(items, measured):
    visits = measured.drop_duplicates(["listing_id", "event_timestamp"])
    assert set(visits.groupby("listing_id").size()) == {2, 3, 4, 5}
    first = measured.groupby("listing_id").event_timestamp.min()
    listed = pd.to_datetime([item.listed for item in items[:800]], unit="us", utc=True)
    assert (first[[item.listing_id for item in items[:800]]] == listed).all()
    assert measured.event_timestamp.is_monotonic_increasing
    assert (measured.created_timestamp > measured.event_timestamp).all()


def test_some_measures_lack_and_some_are_noted_for_all(measured):
    gaps = measured[["seller_rating", "age_years", "width_cm", "views_7d"]].isna().mean()
    assert (gaps > 0.02).all()
    assert (gaps < 0.3).all()
    assert measured[["n_photos", "category_code", "shipping_km"]].notna().all().all()


def test_a_correction_has_the_time_of_what_it_corrects_and_came_later(measured):
    twice = measured[measured.duplicated(["listing_id", "event_timestamp"], keep=False)]
    pairs = twice.groupby(["listing_id", "event_timestamp"])
    assert 10 < len(pairs) < 100
    assert (pairs.size() == 2).all()
    assert (pairs.created_timestamp.diff().dropna() >= pd.Timedelta(days=1)).all()
    assert pairs.views_7d.last().notna().all()


def test_the_columns_follow_the_truth_roughly(items, measured):
    truth = pd.DataFrame(items[:800], columns=items[0]._fields).set_index("listing_id")
    seen = latest(measured).loc[truth.index]
    assert (seen.n_photos == truth.album).all()
    assert (seen.category_code == truth.kind).all()
    assert (seen.width_cm / truth.width_cm - 1).abs().median() < 0.05
    assert seen.seller_rating.between(1, 5).sum() == seen.seller_rating.notna().sum()
    # A hint at the seller, no more.
    rated = seen.seller_rating.notna()
    assert 0.3 < np.corrcoef(seen.seller_rating[rated], truth.seller_part[rated])[0, 1] < 0.8


def test_nobody_looks_at_what_is_sold(items, measured):
    sale = pd.Series({item.listing_id: item.sale for item in items[:800]})
    sold = pd.to_datetime(sale[measured.listing_id].to_numpy(), unit="us", utc=True)
    gone = measured.event_timestamp.to_numpy() >= sold.to_numpy()
    assert gone.any()
    assert (measured.views_7d[gone].dropna() == 0).all()
    assert measured.views_7d[~gone].mean() > 10


def test_the_same_draw_measures_the_same(items):
    one, two = (stats_table(items[:9], np.random.default_rng(1)) for _ in range(2))
    assert one.equals(two)
