"""Which rows are learned from and which are tested: by group, and forward in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deepfeast.transforms.errors import LiftError
from deepfeast.transforms.probe import shuffled_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.ask.question import Question

FEWEST_TESTED = 5
Split = tuple["NDArray[np.intp]", "NDArray[np.intp]"]


def make_rounds(problem: Problem, question: Question) -> list[list[Split]]:
    """Split the rows, the same for every arm: by group where given, forward where in time.

    Returns
    -------
    list of lists of (train, test), arrays of row positions
        One list a round of folds, which together test each row once; ``most_repeats`` of them.
        With times one list, of ``repeats * folds`` windows: each is tested by a model of all rows
        before it. Fewer where a fold would test fewer than 5 rows, with a note.

    Raises
    ------
    LiftError
        If fewer than two splits can be made: one group, one moment, classes of too few rows.
    """
    folds, windows = _affordable(problem, question.repeats, question.folds)
    if problem.times is not None:
        rounds = [forward_splits(problem.times, problem.groups, windows)]
    else:
        strata = problem.y if problem.classes else None
        rounds = [
            list(shuffled_folds(folds, strata, problem.groups, question.seed + number, problem.y))
            for number in range(max(question.repeats, question.most_repeats))
        ]
    if problem.classes:
        rounds = _with_all_classes(problem, rounds)
    count = sum(map(len, rounds))
    if count < 2:
        raise LiftError(
            f"the {len(problem.y)} rows can be split in {count} ways, and an interval needs "
            f"at least 2: {_why_so_few(problem)}"
        )
    return rounds


def _affordable(problem: Problem, repeats: int, folds: int) -> tuple[int, int]:
    """Return folds and windows in time, fewer where each would test next to nothing."""
    units = problem.groups if problem.groups is not None else np.arange(len(problem.y))
    number = len(np.unique(units))
    if number < 2:
        raise LiftError(
            "all rows are of one group, and a group is either learned from or tested: name a "
            "column of smaller groups, or none."
        )
    most = min(len(problem.y) // FEWEST_TESTED, number)
    windows = min(repeats * folds, len(problem.y) * 2 // 3 // FEWEST_TESTED)
    fewer = windows if problem.times is not None else min(folds, most)
    asked = repeats * folds if problem.times is not None else folds
    if fewer < asked:
        things = "windows" if problem.times is not None else "folds"
        problem.notes.append(
            f"{fewer} {things}, not {asked}: {len(problem.y)} rows"
            + (f" of {number} groups" if problem.groups is not None else "")
            + f" make no more with {FEWEST_TESTED} rows to test in each."
        )
    return min(folds, most), windows


def _why_so_few(problem: Problem) -> str:
    if problem.times is not None and len(np.unique(problem.times)) < 3:
        return "they have fewer than three different times; ask without --time."
    if problem.classes:
        return (
            f"the {len(problem.classes)} classes are too rare to be learned and tested in each. "
            f"Leave rare classes out, or join them; is it a regression?"
        )
    return "times or groups leave nothing to learn from."


def _with_all_classes(problem: Problem, rounds: list[list[Split]]) -> list[list[Split]]:
    """Keep the splits that learn every class and test at least two."""
    kept = [
        [
            (train, test)
            for train, test in splits
            if len(np.unique(problem.y[train])) == len(problem.classes)
            and len(np.unique(problem.y[test])) > 1
        ]
        for splits in rounds
    ]
    drawn, left = sum(map(len, rounds)), sum(map(len, kept))
    if left < drawn:
        problem.notes.append(
            f"{drawn - left} of {drawn} splits are left out: a class was missing among their "
            f"training rows, or all tested rows were of one class."
        )
    return [splits for splits in kept if splits]


def forward_splits(
    times: NDArray[Any], groups: NDArray[Any] | None, windows: int, first: float = 1 / 3
) -> list[Split]:
    """Split rows in time: train on all that was before a window, test on the window.

    Rows of one moment stay together, and a group that is tested is not trained on. The `first`
    share of the rows is only learned from.

    >>> [(a.tolist(), b.tolist()) for a, b in forward_splits(np.arange(6), None, 2)]
    [([0, 1], [2, 3]), ([0, 1, 2, 3], [4, 5])]
    """
    earlier = (pd.Series(times).rank(method="min").to_numpy() - 1) / len(times)
    window = np.floor((earlier - first) / (1 - first) * windows + 1e-9).astype(int)
    splits = []
    for number in range(windows):
        test = np.flatnonzero(window == number)
        train = np.flatnonzero(window < number)
        if groups is not None:
            train = train[~np.isin(groups[train], groups[test])]
        if len(test) and len(train):
            splits.append((train, test))
    return splits
