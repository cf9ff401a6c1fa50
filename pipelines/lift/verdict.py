"""Do deep features help this model, by how much, and how sure is that?

Every arm is fitted on the same splits; what is judged is the difference to the handcrafted
columns alone, split by split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.ask.arms import plan_arms
from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.splits import make_splits
from deepfeast.pipelines.lift.measure.bench import Progress, run_arms
from deepfeast.pipelines.lift.measure.comparison import Comparison, Outcome

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Comparison", "Outcome", "Progress", "compare"]


def compare(
    frame: pd.DataFrame,
    target: str,
    groups: str | Sequence[Any] | None = None,
    *,
    feature_groups: Mapping[str, Sequence[str]],
    time: str | None = None,
    handcrafted: Sequence[str] | None = None,
    texts: Mapping[str, Sequence[str | None]] | None = None,
    models: Mapping[str, Any] | None = None,
    task: str | None = None,
    metric: str | None = None,
    log_target: bool = False,
    representations: Sequence[str] = ("raw", "pca", "probe"),
    repeats: int = 2,
    folds: int = 5,
    control: bool = True,
    alone: bool = True,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Score models with and without deep features, and say whether the difference is real.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        A training frame: target, handcrafted columns, and vectors as flat columns.
    target : str
        Column to predict. Rows without it are left out.
    groups : str or array-like of shape (n_rows,), optional
        Rows of one group are never on both sides of a split.
    feature_groups : mapping of str to sequence of str
        Flat columns of each deep feature.
    time : str, optional
        Column of moments: every model is then tested on rows after those it was fitted on.
    handcrafted : sequence of str, optional
        By default every other column of numbers, booleans or few categories.
    texts : mapping of str to sequence of str, optional
        Of each deep feature made of texts, the raw text of each row, for the cheap rival: TF-IDF
        and a truncated SVD.
    models : mapping of str to estimator, optional
        By default XGBoost and a random forest.
    task : {"regression", "binary", "multiclass"}, optional
    metric : str, optional
        A scikit-learn scorer. By default r2, roc_auc or accuracy.
    log_target : bool
        Predict the logarithm.
    representations : sequence of {"raw", "pca", "probe", "pca+probe"}
    repeats, folds : int
        ``repeats * folds`` splits.
    control : bool
        Also run the arm of shuffled vectors, which must show nothing.
    alone : bool
        Also score each embedding alone, under a linear model.
    seed : int
    n_jobs : int, optional
        Splits run side by side, as threads. By default the number of processors, at most 4.
    progress : callable, optional
        Called with what was done, the number of fits done, and their total.

    Returns
    -------
    Comparison

    Raises
    ------
    LiftError
        If the target cannot be compared on: constant, or fewer than 30 rows.
    ColumnNotFound
        If a column is named that the frame lacks.
    """
    problem = read_problem(
        frame,
        target,
        groups,
        feature_groups,
        time=time,
        handcrafted=handcrafted,
        texts=texts,
        task=task,
        metric=metric,
        log_target=log_target,
    )
    arms = plan_arms(
        list(problem.deep),
        representations,
        list(map(str, problem.texts)),
        control=control,
        alone=alone,
    )
    splits = make_splits(problem, repeats, folds, seed)
    return run_arms(
        problem, arms, splits, models, seed=seed, n_jobs=n_jobs, progress=progress, first=folds
    )
