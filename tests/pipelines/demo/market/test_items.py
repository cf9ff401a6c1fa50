"""The true factors, and what of them the price is made of."""

import numpy as np
import pandas as pd
import pytest

from deepfeast.pipelines.demo.market import label_table, truth_table
from deepfeast.pipelines.demo.market.colours import COLOURS, ROOMS
from deepfeast.pipelines.demo.market.item import DAY
from deepfeast.pipelines.demo.market.items import KINDS, SPAN, invent, ranked
from deepfeast.pipelines.demo.market.stats import stats_table
from deepfeast.pipelines.demo.market.texts import ERAS, MATERIALS, SOUNDNESS, STORIES


def grouped_r2(columns: np.ndarray, target: np.ndarray, groups: np.ndarray) -> float:
    from sklearn.model_selection import GroupKFold
    from xgboost import XGBRegressor

    guess = np.empty_like(target)
    for train, test in GroupKFold(5).split(columns, target, groups):
        model = XGBRegressor(
            n_estimators=120, learning_rate=0.08, max_depth=3, subsample=0.8, n_jobs=1
        )
        guess[test] = model.fit(columns[train], target[train]).predict(columns[test])
    return float(1 - np.mean((target - guess) ** 2) / target.var())


def test_the_same_seed_invents_the_same_and_another_does_not():
    assert invent(20, seed=3) == invent(20, seed=3)
    assert not set(invent(20, seed=3)) & set(invent(20, seed=4))


def test_one_item_can_be_invented():
    (item,) = invent(1, seed=7)
    assert (item.listing_id, item.seller_id, item.photo_damaged) == ("l00000", "s0000", True)


def test_items_appear_one_after_the_other_and_are_sold_within_months(items):
    listed = [item.listed for item in items]
    assert listed == sorted(listed)
    assert listed[-1] - listed[0] < SPAN * DAY
    assert all(DAY <= item.sale - item.listed <= 121 * DAY for item in items)
    assert 0.88 < np.mean([item.sold for item in items]) < 0.96
    assert sum(item.photo_damaged for item in items) == 6


def test_factors_are_within_what_texts_and_photos_can_tell(items):
    for factor, levels in (
        ("material", len(MATERIALS)),
        ("era", len(ERAS)),
        ("soundness", len(SOUNDNESS)),
        ("story", len(STORIES)),
        ("room", len(ROOMS)),
    ):
        assert {getattr(item, factor) for item in items} == set(range(levels))
    assert {item.kind for item in items} == set(KINDS)
    assert {item.colour for item in items} == set(COLOURS)
    assert all(0 <= item.shape <= 1 and 0 <= item.wear <= 1 for item in items)
    assert not any(item.brand_stated and not item.brand for item in items)


def test_a_seller_has_one_room(items):
    frame = pd.DataFrame(items, columns=items[0]._fields)
    assert (frame.groupby("seller_id").room.nunique() == 1).all()
    assert frame.seller_id.value_counts().iloc[0] > 10  # a few sell much


@pytest.mark.parametrize(("agreement", "low", "high"), [(1.0, 0.9, 1.0), (0.0, -0.1, 0.1)])
def test_levels_follow_quality_as_far_as_they_agree(agreement, low, high):
    quality = np.random.default_rng(0).standard_normal(1000)
    levels = ranked(quality, 5, agreement, np.random.default_rng(1))
    assert np.bincount(levels).tolist() == [200] * 5
    assert low < np.corrcoef(quality, -levels)[0, 1] < high


def test_the_truth_explains_the_price_but_for_the_noise(items):
    sold = pd.DataFrame([item for item in items if item.sold], columns=items[0]._fields)
    parts = sold.filter(like="_part")
    total = parts.sum(axis=1).var()
    assert 0.80 < 1 - parts.noise_part.var() / total < 0.90
    share = parts.var() / total
    assert (share[["text_part", "photo_part"]] > 0.12).all()


def test_text_and_photo_know_what_the_columns_do_not(items):
    stats = stats_table(items, np.random.default_rng(7)).to_pandas()
    labels = label_table(items).to_pandas()
    truth = truth_table(items).to_pandas().set_index("listing_id")
    known = stats.sort_values(["event_timestamp", "created_timestamp"])
    known = known.drop_duplicates(["listing_id", "event_timestamp"], keep="last")
    known["category_code"] = known.category_code.astype("category").cat.codes
    frame = pd.merge_asof(labels, known, on="event_timestamp", by="listing_id")
    columns = frame.loc[:, "seller_rating":"shipping_km"].to_numpy(float)
    item = truth.loc[frame.listing_id]
    target, groups = np.log(frame.price.to_numpy()), frame.seller_id.to_numpy()

    def lift(part: str) -> float:
        return grouped_r2(np.c_[columns, item[part]], target, groups) - base

    base = grouped_r2(columns, target, groups)
    assert 0.25 < base < 0.45
    assert lift("text_part") > 0.15
    assert lift("photo_part") > 0.12
