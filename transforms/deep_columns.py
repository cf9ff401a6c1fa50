"""A training frame's embeddings as few columns for a tree: all of them in one step.

A probe reads all numbers of an embedding at once, a few components keep what a tree combines
with other columns, and words (TF-IDF) hold what a network passes over. On two tables XGBoost and
a random forest gained most from all of them together, see ``benchmarks/forms.py``; more than
about ten components beside a probe only thin the columns that a forest draws from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from deepfeast.transforms.probe import EmbeddingPCA, LinearProbe

if TYPE_CHECKING:
    from numpy.typing import NDArray

BESIDE = 10
"""Components beside a probe, by default."""


class DeepColumns(TransformerMixin, BaseEstimator):
    """Turn each deep feature of a frame into a probe and components; keep all other columns.

    Each embedding becomes what a `LinearProbe` predicts from it, out of fold while training,
    and its components after standardising, of `EmbeddingPCA`. For a text, declare the words
    as a deep feature of their own beside the network's,
    ``DeepFeature("description_words", column="description", encoder="tfidf:100")``; they are
    treated like any other embedding.

    Parameters
    ----------
    features : mapping of str to sequence of str, optional
        Flat columns of each deep feature. By default every run of columns named
        ``<feature>_000``, ``<feature>_001``, … from zero without a gap, as `training_frame`
        names them; a matrix without column names is taken for one embedding.
    n_components : int
        Components of each feature, at most.
    task, alphas, cv, random_state
        As in `LinearProbe`.
    missing : {"nan", "mean"}
        What a row without a vector gets: NaN, which trees route by themselves, or the mean of
        each column over the training rows, for models that refuse NaN.

    Attributes
    ----------
    features_ : dict of str to list of str
        The deep features that were found.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Notes
    -----
    ``fit_transform`` and ``transform`` differ on purpose: see `LinearProbe`. Inside a
    ``Pipeline`` the right one is called by itself. Groups reach it in the same ways, e.g.
    ``pipeline.fit(frame, y, deepcolumns__groups=sellers)``.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> names = [f"title_vec_{number:03d}" for number in range(8)]
    >>> frame = pd.DataFrame(random.normal(size=(60, 8)), columns=names).assign(beds=2)
    >>> columns = DeepColumns(n_components=2).fit_transform(frame, frame["title_vec_000"])
    >>> list(columns)
    ['beds', 'title_vec_probe', 'title_vec_pca_00', 'title_vec_pca_01']
    """

    def __init__(
        self,
        features: Mapping[str, Sequence[str]] | None = None,
        *,
        n_components: int = BESIDE,
        task: str = "auto",
        alphas: Sequence[float] | None = None,
        cv: Any = 5,
        missing: str = "nan",
        random_state: int | None = 0,
    ):
        self.features = features
        self.n_components = n_components
        self.task = task
        self.alphas = alphas
        self.cv = cv
        self.missing = missing
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> DeepColumns:
        """Fit a probe and components to each deep feature.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), or matrix of shape (n_rows, dim)
            A vector that is missing is NaN.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        groups : array-like of shape (n_rows,), optional
            Rows of one group are held out together.
        """
        self._learn(X, y, groups)
        return self

    def fit_transform(self, X: Any, y: Any, *, groups: Any = None) -> Any:
        """Fit, and return the columns; a training row's probes never saw the row.

        Returns
        -------
        DataFrame of shape (n_rows, n_columns_out), or ndarray where `X` is one
        """
        frame, probed = self._learn(X, y, groups)
        return self._assemble(frame, probed, X)

    def transform(self, X: Any) -> Any:
        """Return the columns by the models of all training rows."""
        check_is_fitted(self)
        frame = self._read(X, reset=False)
        probed = {
            name: self._probes[name].transform(frame[columns])
            for name, columns in self.features_.items()
        }
        return self._assemble(frame, probed, X)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns: the others first, then those of each feature in turn."""
        check_is_fitted(self)
        made = [
            name
            for feature in self.features_
            for step in (self._probes[feature], self._components[feature])
            for name in step.get_feature_names_out()
        ]
        return np.array([*self._others, *made], dtype=object)

    def _learn(self, X: Any, y: Any, groups: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
        frame = self._read(X, y=y, reset=True)
        self.features_ = self._find(frame)
        deep = {column for columns in self.features_.values() for column in columns}
        self._others = [column for column in frame.columns if column not in deep]
        self._probes: dict[str, LinearProbe] = {}
        self._components: dict[str, EmbeddingPCA] = {}
        probed = {}
        for name, columns in self.features_.items():
            probe = LinearProbe(
                task=self.task,
                alphas=self.alphas,
                cv=self.cv,
                missing=self.missing,
                random_state=self.random_state,
            )
            vectors = frame[columns]
            try:
                probed[name] = probe.fit_transform(vectors, y, groups=groups)
                self._components[name] = EmbeddingPCA(self.n_components).fit(vectors)
            except ValueError as error:
                raise ValueError(f"{name or 'DeepColumns'}: {error}") from error
            self._probes[name] = probe
        return frame, probed

    def _read(self, X: Any, *, y: Any = None, reset: bool) -> pd.DataFrame:
        """Check names and order; columns that are not deep may hold anything."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        checks: dict[str, Any] = {
            "dtype": (np.float64, np.float32),
            "ensure_all_finite": "allow-nan",
        }
        if y is None:
            return pd.DataFrame(validate_data(self, X, reset=reset, **checks))
        checks |= {"multi_output": True, "ensure_min_samples": 2}
        return pd.DataFrame(validate_data(self, X, y, reset=reset, **checks)[0])

    def _find(self, frame: pd.DataFrame) -> dict[str, list[Any]]:
        if self.features is not None:
            found = {name: list(columns) for name, columns in self.features.items()}
        elif hasattr(self, "feature_names_in_"):
            found = deep_features(frame.columns)
        else:
            found = {"": list(frame.columns)}
        missing = [c for columns in found.values() for c in columns if c not in frame.columns]
        if missing or not found:
            raise ValueError(
                f"DeepColumns found no {missing[0] if missing else 'deep feature'} among "
                f"{', '.join(map(str, frame.columns[:20]))}. Deep features are columns such as "
                f"description_vec_000, description_vec_001, … of a training frame; others can "
                f"be named by features={{'photo': ['p0', 'p1']}}."
            )
        return found

    def _assemble(self, frame: pd.DataFrame, probed: dict[str, Any], X: Any) -> Any:
        parts = [frame[self._others]]
        for name, columns in self.features_.items():
            components = self._components[name].transform(frame[columns])
            if self.missing == "mean":
                components = np.nan_to_num(components, nan=0.0)  # their mean
            for step, values in (
                (self._probes[name], probed[name]),
                (self._components[name], components),
            ):
                parts.append(
                    pd.DataFrame(values, columns=step.get_feature_names_out(), index=frame.index)
                )
        made = pd.concat(parts, axis=1)
        return made if isinstance(X, pd.DataFrame) else made.to_numpy()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def deep_features(columns: Sequence[Any]) -> dict[str, list[str]]:
    """Find deep features by the names of their flat columns.

    >>> deep_features(["beds", "photo_000", "photo_001", "room_101"])
    {'photo': ['photo_000', 'photo_001']}
    """
    found: dict[str, list[str]] = {}
    for column in columns:
        named = re.fullmatch(r"(.+)_(\d{3,})", str(column))
        if named and int(named[2]) == len(found.get(named[1], [])):
            found.setdefault(named[1], []).append(column)
        elif named:
            found.pop(named[1], None)
    return found
