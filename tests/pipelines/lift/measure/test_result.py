"""The whole verdict, with what lies behind it."""

import json

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.measure.result import Cost, arms_of, measure_lift
from deepfeast.pipelines.lift.tell.save import as_dict

VEC = [f"vec_{position:03d}" for position in range(6)]
ASKED = Question(
    "price", "seller", handcrafted=["size"], representations=("probe",), repeats=2, most_repeats=2
)
FAST = {"ridge": Ridge(1.0)}


def test_the_whole_result_holds_every_score(shop):
    seen = []
    result = measure_lift(
        read_problem(shop, ASKED, {"vec": VEC}),
        ASKED,
        FAST,
        progress=lambda what, done, total: seen.append((done, total)),
    )
    assert seen[-1] == (1000, 1000)
    rows = [point.rows for point in result.curve]
    assert rows == sorted(rows)
    assert rows[-1] == 160
    assert result.curve[-1].lift.mean > result.curve[0].lift.mean > 0
    assert result.importance[0].feature == "vec"
    assert result.importance[0].deep
    body = json.loads(json.dumps(as_dict(result)))
    arm = next(arm for arm in body["arms"] if arm["arm"] == "+ vec (probe)")
    assert len(arm["scores"]) == 10
    assert arm["lift"]["mean"] == pytest.approx(
        np.mean(arm["scores"]) - np.mean(body["arms"][0]["scores"])
    )


def test_contents_are_asked_for_by_the_rows_of_the_frame_that_was_given(shop):
    shop.loc[:49, "price"] = np.nan  # row 0 of the problem is row 50 of the frame
    asked = {}

    def contents(feature, rows):
        asked[feature] = rows
        return [None if row == rows[0] else f"row {row}" for row in rows]

    question = Question("price", handcrafted=["size"], representations=["probe"], most_repeats=1)
    result = measure_lift(
        read_problem(shop, question, {"vec": VEC}), question, FAST, contents=contents
    )
    named = {one.row for way in result.directions for one in way.examples}
    named |= {one.row for model in result.moved for one in model.rows}
    assert sorted(asked["vec"]) == sorted(row + 50 for row in named)
    assert len(result.contents) == len(named) - 1  # what is not there is not shown
    assert all(text == f"row {row + 50}" for (_, row), text in result.contents.items())


class Broken(Ridge):
    """A model that never works."""

    def fit(self, X, y):
        raise RuntimeError("no licence")


def test_a_model_that_never_works_has_nothing_behind_it_and_the_other_has(shop):
    seen = []
    problem = read_problem(shop, ASKED, {"vec": VEC})
    result = measure_lift(
        problem,
        ASKED,
        {"broken": Broken(), **FAST},
        progress=lambda what, done, total: seen.append(done),
    )
    assert {point.model for point in result.curve} == {"ridge"}
    assert {one.model for one in result.importance} == {"ridge"}
    assert seen[-1] == 1000  # its work is no longer waited for


def test_the_arms_follow_the_question(shop):
    problem = read_problem(shop, ASKED, {"vec": VEC}, {"vec": ["oak"] * 200})
    question = Question("price", representations=["pca"], control=False, alone=False)
    assert [arm.label for arm in arms_of(problem, question)] == [
        "handcrafted",
        "+ vec (pca)",
        "+ words of vec (words)",
    ]


def test_a_million_values_cost_a_thousand_thousands():
    cost = Cost("photo", numbers=250, kilobytes=1000.0, seconds=7.2, cores=2)
    assert (cost.million_hours, cost.million_core_hours, cost.million_gigabytes) == (2, 4, 1)
    unknown = Cost("photo", numbers=250, kilobytes=1000.0)
    assert unknown.million_hours is unknown.million_core_hours is None
