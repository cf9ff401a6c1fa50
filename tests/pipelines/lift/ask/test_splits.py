"""Groups stay together, and time runs forward."""

import numpy as np
import pandas as pd

from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.ask.splits import forward_splits, make_rounds

VEC = [f"vec_{position:03d}" for position in range(6)]


def problem_of(frame, groups="seller", **options):
    return read_problem(frame, Question("price", groups, **options), {"vec": VEC})


def rounds_of(problem, repeats):
    """Return the splits of all rounds together."""
    asked = Question("price", repeats=repeats, most_repeats=repeats)
    return [split for splits in make_rounds(problem, asked) for split in splits]


def test_groups_are_never_split(shop):
    problem = problem_of(shop)
    splits = rounds_of(problem, repeats=2)
    assert len(splits) == 10
    for train, test in splits:
        assert not set(problem.groups[train]) & set(problem.groups[test])
        assert len(train) + len(test) == 200


def test_time_only_runs_forward(shop):
    shop["sold"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(200)[::-1], unit="D")
    problem = problem_of(shop, groups=None, time="sold")
    splits = rounds_of(problem, repeats=1)
    assert len(splits) == 5
    for train, test in splits:
        assert problem.times[train].max() < problem.times[test].min()


def test_rows_of_one_moment_stay_together_and_tested_groups_are_not_learned():
    days = np.array([1, 1, 2, 2, 3, 3])
    groups = np.array([0, 1, 0, 2, 3, 1])
    splits = forward_splits(days, groups, windows=2)
    assert [(a.tolist(), b.tolist()) for a, b in splits] == [([1], [2, 3]), ([0, 2, 3], [4, 5])]


def test_a_round_tests_each_row_once(shop):
    rounds = make_rounds(problem_of(shop), Question("price", repeats=2, most_repeats=3))
    assert [len(splits) for splits in rounds] == [5, 5, 5]
    for splits in rounds:
        assert sorted(np.concatenate([test for _, test in splits])) == list(range(200))


def test_a_split_that_lacks_a_class_is_left_out(shop):
    shop["sold"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(200), unit="D")
    shop["kind"] = np.where(shop["price"] > 0, "dear", "cheap")
    shop.loc[100:120:10, "kind"] = "new"  # first seen in the middle
    question = Question("kind", time="sold", handcrafted=["size"], repeats=1, folds=10)
    problem = read_problem(shop, question, {"vec": VEC})
    (splits,) = make_rounds(problem, question)
    assert 2 <= len(splits) < 10
    assert all(len(np.unique(problem.y[train])) == 3 for train, _ in splits)
    assert "splits are left out" in problem.notes[-1]
