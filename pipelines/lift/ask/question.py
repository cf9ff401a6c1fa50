"""What is asked of a table: one object, from the command line to the fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deepfeast.pipelines.lift.ask.arms import FORMS
from deepfeast.transforms.errors import LiftError, did_you_mean


@dataclass(frozen=True)
class Question:
    """Does a model gain from deep features?

    Parameters
    ----------
    target : str
        Column to predict. Rows without it are left out.
    groups : str or array-like of shape (n_rows,), optional
        Rows of one group are never on both sides of a split. `run_lift` takes a file of groups,
        such as ``deepfeast duplicates --out`` writes, and a list of columns and files, too.
    time : str, optional
        Column of moments: every model is then tested on rows after those it was fitted on.
    handcrafted : sequence of str, optional
        By default every other column of numbers, booleans or few categories.
    task : {"regression", "binary", "multiclass"}, optional
        Found out from the target by default.
    metric : str, optional
        A scikit-learn scorer, higher is better. By default r2, roc_auc or accuracy.
    log_target : bool
        Predict the logarithm.
    representations : sequence of {"columns", "probe", "pca", "raw", "pca+probe"}
        Forms in which a vector joins, see `deepfeast.pipelines.lift.ask.arms`.
    repeats, most_repeats : int
        Rounds of folds drawn first, and at most, for arms that are not clear before.
    folds : int
    control : bool
        Also run the arm of shuffled vectors, which must show nothing.
    alone : bool
        Also score each embedding alone, under a linear model.
    alternatives : sequence of str
        Deep features that stand in for others, from other encoders.
    seed : int
        Draws the folds.
    n_jobs : int, optional
        Splits run side by side, as threads. By default the processors at hand, at most 4.
    name : str
        Of the data set, for the report.
    """

    target: str
    groups: str | Sequence[Any] | None = None
    time: str | None = None
    handcrafted: Sequence[str] | None = None
    task: str | None = None
    metric: str | None = None
    log_target: bool = False
    representations: Sequence[str] = FORMS
    repeats: int = 2
    most_repeats: int = 6
    folds: int = 5
    control: bool = True
    alone: bool = True
    alternatives: Sequence[str] = ()
    seed: int = 0
    n_jobs: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        known = [*FORMS, "pca+probe"]
        for form in self.representations:
            if form not in known:
                raise LiftError(
                    f"no form {form!r}: expected some of {', '.join(known)}."
                    f"{did_you_mean(form, known)}"
                )
        if not self.representations:
            raise LiftError(f"no form is asked for: name some of {', '.join(known)}.")
        if self.repeats < 1 or self.folds < 2:
            raise LiftError(
                f"repeats={self.repeats}, folds={self.folds}: expected at least 1 and 2."
            )
