"""What a comparison stands on: which rows, which target, which columns, which splits."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deepfeast.transforms.errors import ColumnNotFound, LiftError
from deepfeast.transforms.probe import is_classification

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.question import Question

FEWEST_ROWS = 30
METRICS = {"regression": "r2", "binary": "roc_auc", "multiclass": "accuracy"}
METRIC_WORDS = {"r2": "R²", "roc_auc": "AUC"}


@dataclass(frozen=True)
class Problem:
    """One question about one table, checked and ready to be split.

    Attributes
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        The rows that have a target, numbered from 0.
    y : ndarray of shape (n_rows,)
        The target; class codes for a classification.
    task : {"regression", "binary", "multiclass"}
    metric : str
        A scikit-learn scorer; higher is better.
    handcrafted : list of str
        Columns that the model has today.
    deep : dict of str to list of str
        Flat columns of each deep feature.
    classes : list
        What the class codes stand for; empty for a regression.
    groups, times : ndarray of shape (n_rows,), optional
    rows : ndarray of shape (n_rows,)
        Positions of the rows in the frame that was given.
    target : str
        Name of the target's column.
    logged : bool
        `y` is the logarithm of the target.
    texts : DataFrame of shape (n_rows, n_texts)
        Raw texts, one column each; no model sees them but the cheap rival.
    copies : dict of str to (float or None, str)
        Of deep features: the cosine that near-copies have at least, None if it is to be estimated,
        and how to write their groups.
    notes : list of str
        What was decided or left out on the way, for the reader of the report.
    """

    frame: pd.DataFrame
    y: NDArray[Any]
    target: str
    task: str
    metric: str
    handcrafted: list[str]
    deep: dict[str, list[str]]
    classes: list[Any] = field(default_factory=list)
    groups: NDArray[np.intp] | None = None
    times: NDArray[Any] | None = None
    rows: NDArray[np.intp] = field(default_factory=lambda: np.arange(0))
    logged: bool = False
    texts: pd.DataFrame = field(default_factory=pd.DataFrame)
    copies: dict[str, tuple[float | None, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @functools.cached_property
    def vectors(self) -> dict[str, NDArray[np.floating]]:
        """Of each deep feature, the vectors: (n_rows, dim), with NaN where a row has none."""
        return {name: self.frame[columns].to_numpy() for name, columns in self.deep.items()}

    @property
    def has_vector(self) -> dict[str, NDArray[np.bool_]]:
        """Of each deep feature, the rows that have a vector."""
        return {name: ~np.isnan(vectors).any(axis=1) for name, vectors in self.vectors.items()}

    @property
    def metric_word(self) -> str:
        """The metric as people write it."""
        return METRIC_WORDS.get(self.metric, self.metric.replace("_", " "))

    @property
    def goal(self) -> str:
        """What the models predict: the target, or its logarithm."""
        return f"log({self.target})" if self.logged else self.target

    @property
    def raw_target(self) -> NDArray[np.float64]:
        """Of a regression: the target as it stood in the table."""
        return np.exp(self.y) if self.logged else self.y

    def shown_target(self, row: int) -> str:
        """Write one row's target for people."""
        if self.classes:
            return str(self.classes[int(self.y[row])])
        return f"{self.raw_target[row]:,.4g}"

    def take(self, rows: NDArray[np.intp]) -> Problem:
        """Keep some rows."""
        return replace(
            self,
            frame=self.frame.iloc[rows].reset_index(drop=True),
            y=self.y[rows],
            rows=self.rows[rows],
            texts=self.texts.iloc[rows].reset_index(drop=True),
            groups=None if self.groups is None else self.groups[rows],
            times=None if self.times is None else self.times[rows],
        )


def read_problem(
    frame: pd.DataFrame,
    question: Question,
    feature_groups: Mapping[str, Sequence[str]],
    texts: Mapping[str, Sequence[str | None]] | None = None,
) -> Problem:
    """Check a training frame and find out what is asked of it.

    Raises
    ------
    ColumnNotFound
        If the target, a group, time or feature column is not in the frame.
    LiftError
        If the target is constant or has too few values.
    """
    target, groups, time = question.target, question.groups, question.time
    handcrafted, log_target = question.handcrafted, question.log_target
    deep = {name: list(columns) for name, columns in feature_groups.items()}
    named = [target, time, groups if isinstance(groups, str) else None, *(handcrafted or [])]
    for column in [
        *(name for name in named if name),
        *(c for columns in deep.values() for c in columns),
    ]:
        if column not in frame.columns:
            raise ColumnNotFound.of(column, "the training frame", map(str, frame.columns[:40]))
    notes: list[str] = []
    known = frame[target].notna().to_numpy()
    if not known.all():
        notes.append(f"{(~known).sum()} rows have no {target} and are left out.")
    endless = _infinite(frame[[target]])[target].to_numpy()
    if endless.any():
        notes.append(f"Left out, for an infinite {target}: {endless.sum()} of the rows.")
        known &= ~endless
    if known.sum() < FEWEST_ROWS:
        raise LiftError(
            f"{known.sum()} rows have a {target!r}; a verdict needs at least {FEWEST_ROWS}. "
            f"With so few, no lift smaller than enormous could be told from luck."
        )
    for name in [name for name, columns in deep.items() if frame[columns].isna().any(axis=1).all()]:
        notes.append(f"No row has a {name}: it is left out. Was it embedded, before these times?")
        del deep[name]
    if not deep:
        raise LiftError(
            f"no row has a vector of {', '.join(feature_groups)}: there is no lift to measure. Run "
            f"deepfeast embed, and check that the labels' times lie after the features'."
        )
    group_values = frame[groups].to_numpy() if isinstance(groups, str) else groups
    group_codes = (
        None
        if group_values is None
        else pd.factorize(np.asarray(group_values)[known], use_na_sentinel=False)[0]
    )
    rows = frame[known].reset_index(drop=True)
    values = rows[target]
    task = question.task or _task_of(values)
    if task not in METRICS:
        raise LiftError(f"task {task!r}: expected one of {', '.join(METRICS)}")
    y, classes = _read_target(values, task, target, log_target)
    vectors = [column for columns in feature_groups.values() for column in columns]
    skip = {target, time, groups if isinstance(groups, str) else None, *vectors}
    if handcrafted is None:
        handcrafted, left = _usable_columns(rows, skip)
        if left:
            notes.append(
                f"Not used as handcrafted columns (text, keys or times): {', '.join(left)}."
            )
    if not handcrafted:
        notes.append(
            "There are no handcrafted columns: the baseline predicts by nothing, the same for "
            "every row. A lift over it says that a feature tells something, and not that it adds "
            "to a model."
        )
    if log_target:
        notes.append(f"The models see the logarithm of {target}, and are scored on it.")
    rows = _infinite_to_missing(rows, handcrafted, deep, notes)
    rows.attrs = {}  # pandas copies them at every step
    # scikit-learn takes NaN for missing, not pandas.NA.
    nullable = [c for c in handcrafted if pd.api.types.is_extension_array_dtype(rows[c].dtype)]
    numbers = [c for c in nullable if pd.api.types.is_numeric_dtype(rows[c].dtype)]
    rows = rows.astype(dict.fromkeys(numbers, "float64"))
    problem = Problem(
        frame=rows,
        y=y,
        target=target,
        task=task,
        metric=question.metric or METRICS[task],
        handcrafted=list(handcrafted),
        deep=deep,
        classes=classes,
        rows=np.flatnonzero(known),
        logged=log_target,
        texts=pd.DataFrame({n: list(v) for n, v in (texts or {}).items()}, index=frame.index)[
            known
        ].reset_index(drop=True),
        groups=group_codes,
        times=pd.to_datetime(rows[time], utc=True).to_numpy() if time else None,
        notes=notes,
    )
    return _drop_rare_classes(problem) if classes else problem


def _infinite(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = frame.select_dtypes("number")
    found = np.isinf(numbers.to_numpy(dtype=float, na_value=np.nan))
    return pd.DataFrame(found, columns=numbers.columns, index=frame.index).reindex(
        columns=frame.columns, fill_value=False
    )


def _infinite_to_missing(
    rows: pd.DataFrame,
    handcrafted: Sequence[str],
    deep: Mapping[str, Sequence[str]],
    notes: list[str],
) -> pd.DataFrame:
    """Take infinite numbers for missing ones, which models refuse; a vector goes as a whole."""
    for name, columns in [*((one, [one]) for one in handcrafted), *deep.items()]:
        found = _infinite(rows[list(columns)]).any(axis=1)
        if found.any():
            notes.append(f"Infinite in {name}, taken for missing: {found.sum()} of the rows.")
            rows = rows.assign(**{column: rows[column].mask(found) for column in columns})
    return rows


def _task_of(values: pd.Series) -> str:
    if not is_classification(values.to_numpy()):
        return "regression"
    return "binary" if values.nunique() == 2 else "multiclass"


def _read_target(
    values: pd.Series, task: str, name: str, log_target: bool
) -> tuple[NDArray[Any], list[Any]]:
    if values.nunique() < 2:
        raise LiftError(
            f"{name!r} is {values.iloc[0]} in all {len(values)} rows: there is nothing to predict."
        )
    if task != "regression":
        codes, classes = pd.factorize(values, sort=True)
        return codes.astype(np.int64), list(classes)
    try:
        numbers = values.to_numpy(dtype=float)
    except (TypeError, ValueError):
        raise LiftError(
            f"{name!r} holds {str(values.iloc[0])!r}: a regression needs numbers. "
            f"For classes say task='multiclass'."
        ) from None
    if not log_target:
        return numbers, []
    if (numbers <= 0).any():
        raise LiftError(f"{name!r} has values at or below zero, which have no logarithm.")
    return np.log(numbers), []


def _usable_columns(frame: pd.DataFrame, skip: set[Any]) -> tuple[list[str], list[str]]:
    """Take numbers, booleans and short lists of categories; leave texts, keys and times."""
    usable: list[str] = []
    left: list[str] = []
    for column in frame.columns.difference(list(skip), sort=False):
        values = frame[column]
        numeric = pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)
        few = not pd.api.types.is_datetime64_any_dtype(values) and (
            isinstance(values.dtype, pd.CategoricalDtype)
            or (values.dtype == object and _is_short_list(values))
        )
        (usable if numeric or few else left).append(str(column))
    return usable, left


def _is_short_list(values: pd.Series) -> bool:
    known = values.dropna()
    return bool(known.map(lambda value: isinstance(value, str)).all()) and (
        0 < known.nunique() <= min(50, len(known) / 5)
    )


def _drop_rare_classes(problem: Problem) -> Problem:
    """Leave out classes that cannot be both learned and tested."""
    unit = problem.groups if problem.groups is not None else np.arange(len(problem.y))
    holders = [len(np.unique(unit[problem.y == code])) for code in range(len(problem.classes))]
    rare = [code for code, count in enumerate(holders) if count < 2]
    if not rare:
        return problem
    names = ", ".join(str(problem.classes[code]) for code in rare)
    kept = [code for code in range(len(problem.classes)) if code not in rare]
    if len(kept) < 2:
        raise LiftError(
            f"{problem.target!r} has too few classes that stand in two rows (or groups, where "
            f"there are any), which learning and testing take. In one alone: {names}."
        )
    problem.notes.append(f"Left out, for having a single row or group: class {names}.")
    smaller = problem.take(np.flatnonzero(np.isin(problem.y, kept)))
    return replace(
        smaller,
        y=np.searchsorted(kept, smaller.y),
        classes=[problem.classes[code] for code in kept],
        task="binary" if len(kept) == 2 and problem.task == "binary" else problem.task,
    )
