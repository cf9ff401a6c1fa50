"""Which rows are learned from and which are tested: by group, and forward in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deepfeast.transforms.probe import shuffled_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem

Split = tuple["NDArray[np.intp]", "NDArray[np.intp]"]


def make_splits(problem: Problem, repeats: int, folds: int, seed: int) -> list[Split]:
    """Split the rows, the same for every arm: by group where given, forward where in time.

    Returns
    -------
    list of (train, test), arrays of row positions
        ``repeats * folds`` of them. With times, as many windows: each is tested by a model of
        all rows before it.
    """
    if problem.times is not None:
        splits = forward_splits(problem.times, problem.groups, repeats * folds)
    else:
        strata = problem.y if problem.classes else None
        splits = [
            split
            for repeat in range(repeats)
            for split in shuffled_folds(folds, strata, problem.groups, seed + repeat, problem.y)
        ]
    return _with_all_classes(problem, splits) if problem.classes else splits


def _with_all_classes(problem: Problem, splits: list[Split]) -> list[Split]:
    """Keep the splits that learn every class and test at least two."""
    kept = [
        (train, test)
        for train, test in splits
        if len(np.unique(problem.y[train])) == len(problem.classes)
        and len(np.unique(problem.y[test])) > 1
    ]
    if len(kept) < len(splits):
        problem.notes.append(
            f"{len(splits) - len(kept)} of {len(splits)} splits are left out: a class was missing "
            f"among their training rows, or all tested rows were of one class."
        )
    return kept


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
