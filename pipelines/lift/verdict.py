"""Do deep features help this model, by how much, and how sure is that?

Every arm is fitted on the same splits; what is judged is the difference to the handcrafted
columns alone, split by split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.ask.splits import make_rounds
from deepfeast.pipelines.lift.measure.bench import run_arms
from deepfeast.pipelines.lift.measure.comparison import Comparison
from deepfeast.pipelines.lift.measure.result import arms_of
from deepfeast.pipelines.lift.measure.work import Progress, Work

if TYPE_CHECKING:
    import pandas as pd


def compare(
    frame: pd.DataFrame,
    target: str,
    groups: str | Sequence[Any] | None = None,
    *,
    feature_groups: Mapping[str, Sequence[str]],
    texts: Mapping[str, Sequence[str | None]] | None = None,
    models: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **asked: Any,
) -> Comparison:
    """Score models with and without deep features, and say whether the difference is real.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        A training frame: target, handcrafted columns, and vectors as flat columns.
    target, groups
        As in `Question`.
    feature_groups : mapping of str to sequence of str
        Flat columns of each deep feature.
    texts : mapping of str to sequence of str, optional
        Of each deep feature made of texts, the raw text of each row: for its words beside the
        vector, and for the cheap rival, which has the words alone.
    models : mapping of str to estimator or str, optional
        A str names a known model: ``{"LightGBM": "lightgbm"}``. By default XGBoost and a random
        forest.
    progress : callable, optional
        Called with what was done, the share of the time that has passed, and the whole.
    **asked
        What else is asked: the other fields of `Question`, such as ``time``, ``log_target`` or
        ``representations``.

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
    question = Question(target, groups, **asked)
    problem = read_problem(frame, question, feature_groups, texts)
    rounds = make_rounds(problem, question)
    return run_arms(problem, arms_of(problem, question), rounds, question, models, Work(progress))
