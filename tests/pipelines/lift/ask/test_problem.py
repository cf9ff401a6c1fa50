"""What a comparison stands on: rows, target, columns; and what is said where it cannot stand."""

import numpy as np
import pandas as pd
import pytest

from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.transforms.errors import ColumnNotFound, LiftError

VEC = [f"vec_{position:03d}" for position in range(6)]
NOISE = [f"noise_{position:03d}" for position in range(6)]


def read(frame, target="price", groups=None, features=None, texts=None, **asked):
    return read_problem(frame, Question(target, groups, **asked), features or {"vec": VEC}, texts)


def test_task_and_metric_are_found_out(shop):
    kinds = np.array(["cheap", "fair", "dear"])[np.digitize(shop["price"], [-1, 1])]
    problem = read(shop.assign(kind=kinds), "kind")
    assert (problem.task, problem.metric, problem.metric_word) == (
        "multiclass",
        "accuracy",
        "accuracy",
    )
    assert problem.classes == ["cheap", "dear", "fair"]
    assert [problem.shown_target(row) for row in range(3)] == kinds[:3].tolist()
    binary = read(shop.assign(dear=shop["price"] > 0), "dear")
    assert (binary.task, binary.metric, binary.metric_word) == ("binary", "roc_auc", "AUC")
    assert (read(shop).task, read(shop).metric_word) == ("regression", "R²")


def test_a_logarithm_is_shown_as_it_stood(shop):
    problem = read(shop.assign(price=np.arange(1000, 1200)), log_target=True)
    assert problem.y[0] == np.log(1000)
    assert (problem.goal, problem.shown_target(0)) == ("log(price)", "1,000")
    assert "The models see the logarithm of price" in problem.notes[-1]


def test_handcrafted_columns_are_found_and_the_rest_is_named(shop):
    shop["note"] = [f"text {row}" for row in range(200)]
    problem = read(shop, groups="seller", features={"vec": VEC, "noise": NOISE})
    assert sorted(problem.handcrafted) == ["colour", "size"]
    assert problem.notes == ["Not used as handcrafted columns (text, keys or times): note."]


def test_columns_of_an_embedding_left_out_are_no_handcrafted_columns(shop):
    shop[NOISE] = np.nan
    problem = read(shop, groups="seller", features={"vec": VEC, "noise": NOISE})
    assert list(problem.deep) == ["vec"]
    assert sorted(problem.handcrafted) == ["colour", "size"]
    assert "No row has a noise" in problem.notes[0]
    with pytest.raises(LiftError, match="no row has a vector of noise"):
        read(shop, features={"noise": NOISE})


@pytest.mark.parametrize(("kind", "most"), [("Int64", 2), ("UInt64", 2**64 - 1)])
def test_nullable_numbers_become_plain_ones(shop, kind, most):
    rooms = pd.Series([most, None] * 100, dtype=kind)
    problem = read(shop.assign(rooms=rooms), handcrafted=["rooms"])
    assert problem.frame["rooms"].dtype == float
    assert problem.frame["rooms"].isna().sum() == 100
    assert problem.frame["rooms"].max() == float(most)


def test_rows_without_target_are_left_out_with_their_texts(shop):
    shop.loc[[0, 5], "price"] = np.nan
    texts = {"vec": [f"row {row}" for row in range(200)]}
    problem = read(shop, groups="seller", texts=texts, handcrafted=["size"])
    assert len(problem.y) == len(problem.groups) == 198
    assert problem.notes == ["2 rows have no price and are left out."]
    assert problem.texts["vec"].iloc[0] == "row 1"
    assert problem.rows[:5].tolist() == [1, 2, 3, 4, 6]


def test_infinite_features_count_as_missing(shop):
    shop.loc[3, "vec_001"] = -np.inf
    shop.loc[[4, 5], "size"] = np.inf
    problem = read(shop, handcrafted=["size"])
    assert problem.notes == [
        "Infinite in size, taken for missing: 2 of the rows.",
        "Infinite in vec, taken for missing: 1 of the rows.",
    ]
    assert problem.has_vector["vec"].sum() == 199
    assert problem.frame.loc[3, VEC].isna().all()  # a vector goes as a whole


def test_a_class_that_cannot_be_both_learned_and_tested_is_left_out(shop):
    shop["kind"] = np.where(shop["price"] > 0, "dear", "cheap")
    shop.loc[8:9, "kind"] = "odd"  # two rows of one seller
    assert read(shop, "kind").classes == ["cheap", "dear", "odd"]
    problem = read(shop, "kind", "seller", handcrafted=["size"])
    assert problem.classes == ["cheap", "dear"]
    assert problem.notes == ["Left out, for having a single row or group: class odd."]
    assert set(problem.y) == {0, 1}
    assert len(problem.y) == 198
    shop["kind"] = np.where(np.arange(200) < 2, "odd", "cheap")
    with pytest.raises(LiftError, match=r"too few classes .* In one alone: odd"):
        read(shop, "kind", "seller")


def test_some_rows_can_be_taken(shop):
    shop["sold"] = pd.date_range("2024-01-01", periods=200)
    problem = read(shop, groups="seller", time="sold", texts={"vec": list("ab") * 100})
    some = problem.take(np.array([5, 2]))
    assert some.rows.tolist() == [5, 2]
    assert some.y.tolist() == shop["price"][[5, 2]].tolist()
    assert some.groups.tolist() == [2, 1]
    assert some.texts["vec"].tolist() == ["b", "a"]
    assert some.times.tolist() == problem.times[[5, 2]].tolist()
    assert some.frame.index.tolist() == [0, 1]


def test_a_constant_target_is_refused(shop):
    shop["price"] = 5.0
    with pytest.raises(LiftError, match=r"'price' is 5.0 in all 200 rows"):
        read(shop)


def test_few_rows_are_refused(shop):
    with pytest.raises(LiftError, match="29 rows have a 'price'; a verdict needs at least 30"):
        read(shop.head(29))


def test_a_missing_column_is_named(shop):
    with pytest.raises(ColumnNotFound, match=r"no column 'prise'.*Did you mean 'price'"):
        read(shop, target="prise")


def test_words_as_a_regression_target_are_refused(shop):
    with pytest.raises(LiftError, match="a regression needs numbers"):
        read(shop, target="colour", task="regression")


def test_logarithm_of_nothing_is_refused(shop):
    with pytest.raises(LiftError, match="at or below zero"):
        read(shop, log_target=True)


def test_an_unknown_task_is_refused(shop):
    with pytest.raises(LiftError, match="task 'ranking': expected one of regression, binary"):
        read(shop, task="ranking")
