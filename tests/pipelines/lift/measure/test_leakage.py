"""Alarms: signs that a score is too good to be true."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift.ask.arms import Arm
from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.ask.splits import make_rounds
from deepfeast.pipelines.lift.measure.comparison import Outcome
from deepfeast.pipelines.lift.measure.leakage import (
    content_codes,
    controls,
    duplicates,
    find_alarms,
    target_in_text,
    target_words,
    too_good,
)
from deepfeast.pipelines.lift.measure.stats import corrected_lift

VEC = [f"vec_{position:03d}" for position in range(6)]


def read(frame, target="price", groups=None, texts=None):
    question = Question(target, groups, repeats=1, most_repeats=1)
    problem = read_problem(frame, question, {"vec": VEC}, texts)
    return problem, make_rounds(problem, question)[0]


def test_an_honest_table_raises_no_alarm(shop, ask):
    assert find_alarms(ask(shop)) == []


def test_duplicates_across_folds_are_an_alarm_until_they_are_grouped(shop):
    shop.loc[1::2, VEC] = shop.loc[::2, VEC].to_numpy()
    (alarm,) = duplicates(*read(shop))
    assert alarm.kind == "duplicates"
    assert alarm.text.endswith("Name the column of what belongs together with --groups.")
    assert duplicates(*read(shop, groups="seller")) == []
    (alarm,) = duplicates(*read(shop.assign(seller=np.arange(200)), groups="seller"))
    assert alarm.text.endswith("is it the same thing under two ids?")


def test_near_copies_across_folds_are_an_alarm_by_the_encoders_threshold(shop):
    random = np.random.default_rng(1)
    shop.loc[1:19:2, VEC] = shop.loc[0:18:2, VEC].to_numpy() + random.normal(size=(10, 6)) / 200
    problem, splits = read(shop)
    assert duplicates(problem, splits) == []
    problem.copies["vec"] = 0.999, "deepfeast duplicates deep --feature vec"
    (alarm,) = duplicates(problem, splits)
    # As far as folds of 200 rows part the ten pairs.
    assert re.match(r"(1\d|20) rows \(\d+%\) have a vec that is a near-copy of that", alarm.text)
    assert "equal in 0 of them" in alarm.text
    assert alarm.text.endswith(
        "deepfeast duplicates deep --feature vec --out groups.parquet, then deepfeast lift "
        "--groups groups.parquet."
    )
    problem, splits = read(shop, groups="seller")
    problem.copies["vec"] = 0.999, "deepfeast duplicates deep --feature vec"
    assert duplicates(problem, splits) == []


def test_copies_of_two_sellers_are_told_as_those_of_another_group(shop):
    shop.loc[100:, VEC] = shop.loc[:99, VEC].to_numpy() * (1 + 1e-4)
    problem, splits = read(shop, groups="seller")
    problem.copies["vec"] = 0.99, "deepfeast duplicates deep"
    (alarm,) = duplicates(problem, splits)
    assert "a training row of another group" in alarm.text
    assert alarm.text.endswith("then deepfeast lift --groups groups.parquet as well.")


def test_how_near_copies_of_an_unknown_encoder_are_is_estimated(shop):
    # Twenty rows share their vectors, to within a hundredth of the usual distance.
    wide = [f"vec_{n:03d}" for n in range(64)]
    random = np.random.default_rng(5)
    shop = shop.drop(columns=VEC).join(pd.DataFrame(random.normal(size=(200, 64)), columns=wide))
    shop.loc[1:19:2, wide] = shop.loc[0:18:2, wide].to_numpy() + random.normal(size=(10, 64)) / 100
    question = Question("price", repeats=1, most_repeats=1)
    problem = read_problem(shop, question, {"vec": wide})
    splits = make_rounds(problem, question)[0]
    assert duplicates(problem, splits) == []
    problem.copies["vec"] = None, "deepfeast duplicates deep"
    (alarm,) = duplicates(problem, splits)
    assert re.match(r"(1\d|20) rows ", alarm.text)
    shop[wide] = np.nan
    shop.loc[0, wide] = 1
    problem = read_problem(shop, question, {"vec": wide})
    problem.copies["vec"] = None, "deepfeast duplicates deep"
    assert duplicates(problem, splits) == []


@pytest.mark.parametrize(("crowded", "least"), [(3, 0.998), (12, None)])
def test_where_everything_is_near_everything_copies_must_be_nearer(shop, crowded, least):
    shop[VEC] += crowded
    shop.loc[1:19:2, VEC] = shop.loc[0:18:2, VEC].to_numpy() + 1e-6
    problem, splits = read(shop)
    problem.copies["vec"] = 0.97, "deepfeast duplicates deep"
    found = [alarm.text for alarm in duplicates(problem, splits)]
    if least is None:
        assert found == []
    else:
        # The ten pairs, and by chance another one.
        assert re.match(r"2\d rows ", found[0])
        assert float(re.findall(r"at least ([\d.]+);", found[0])[0]) > least


def test_short_texts_repeat_without_being_copies(shop):
    shop.loc[1::2, VEC] = shop.loc[::2, VEC].to_numpy()
    short = {"vec": ["oak table"] * 200}
    long = {"vec": ["a table of oak that my grandfather made himself"] * 200}
    assert duplicates(*read(shop, texts=short)) == []
    assert len(duplicates(*read(shop, texts=long))) == 1


def test_equal_vectors_have_one_code_and_missing_ones_none(shop):
    vectors = shop[VEC].head(4).copy()
    vectors.iloc[2] = vectors.iloc[0]
    vectors.iloc[3, 1] = np.nan
    assert content_codes(vectors).tolist() == [0, 1, 0, -1]


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [(0.5, 0.995, ["too good"]), (0.5, 0.98, []), (0.995, 0.999, [])],
)
def test_an_arm_that_is_too_good_is_an_alarm(by_hand, before, after, kinds):
    comparison = by_hand(range(40), range(40), range(40))
    for outcome, score in zip(comparison.outcomes, (before, after), strict=True):
        outcome.scores = np.full(2, score)
    assert [alarm.kind for alarm in too_good(comparison)] == kinds


@pytest.mark.parametrize(
    ("gains", "alarms"), [([0.2, 0.21] * 5, 1), ([-0.2, -0.21] * 5, 0), ([0.3, -0.1] * 5, 0)]
)
def test_shuffled_vectors_that_help_are_an_alarm(by_hand, gains, alarms):
    comparison = by_hand(range(40), range(40), range(40))
    arm = Arm("+ photo, shuffled", "control", ("shuffled:photo",), "probe")
    outcome = Outcome("old", arm, np.array(gains), 0, 0, np.zeros(40))
    outcome.lift = corrected_lift(gains, 0.25)
    comparison.outcomes.append(outcome)
    assert [alarm.kind for alarm in controls(comparison)] == ["control"] * alarms


def test_texts_that_state_the_target_are_an_alarm(shop):
    shop["price"] = np.random.default_rng(0).integers(20, 400, 200).astype(float)
    told = {"vec": [f"only {price:.0f} pounds a night" for price in shop["price"]]}
    (alarm,) = target_in_text(read(shop, texts=told)[0])
    assert alarm.text.startswith("100% of the texts in 'vec' state their own row's price")
    for silent in ("only 7 pounds a night", None):
        assert target_in_text(read(shop, texts={"vec": [silent] * 200})[0]) == []


def test_a_number_within_a_number_is_not_stated(shop):
    shop["price"] = np.random.default_rng(0).integers(20, 400, 200).astype(float)
    for near in ("0{:.0f}", "{:.0f}0", "{:.0f}.5", "1,{:.0f}"):
        texts = {"vec": [near.format(price) for price in shop["price"]]}
        assert target_in_text(read(shop, texts=texts)[0]) == []


def test_texts_that_name_the_class_are_an_alarm(shop):
    shop["kind"] = np.where(shop["price"] > 0, "Treehouses", "Chalets")
    told = {"vec": [f"our lovely {kind[:-1].lower()}!" for kind in shop["kind"]]}
    problem, _ = read(shop, "kind", texts=told)
    assert set(target_words(problem)) == {"treehouse", "chalet"}
    assert [alarm.kind for alarm in target_in_text(problem)] == ["target in text"]


class ByName(Ridge):
    """A model that knows its columns by name, as many an old pipeline does."""

    def fit(self, X, y):
        return super().fit(X[["size"]], y)

    def predict(self, X):
        return super().predict(X[["size"]])


def test_a_model_that_ignores_new_columns_is_an_alarm(shop, ask):
    comparison = ask(shop, models={"old": ByName()}, repeats=1, most_repeats=1)
    assert [alarm.kind for alarm in find_alarms(comparison)] == ["ignored"]
