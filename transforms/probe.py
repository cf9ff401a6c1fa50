"""An embedding as a few columns: what a linear model on it predicts, or its main directions.

Trees drown in 384 columns of which none means much by itself. A regularised linear model
reads them all at once; its prediction, as one more column, hands a tree what it found.
The prediction of a training row comes from a model that never saw the row, so the tree
learns how far to trust the column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from deepfeast.transforms.ridge import Ridge, center_and_spread, fit_ridge

if TYPE_CHECKING:
    from numpy.typing import NDArray


class _EmbeddingStep(TransformerMixin, BaseEstimator):
    """What both steps share: missing vectors are NaN, columns are named after the feature."""

    def _read(self, X: Any, **checks: Any) -> Any:
        return validate_data(
            self, X, dtype=(np.float64, np.float32), ensure_all_finite="allow-nan", **checks
        )

    def _stem(self) -> str:
        """Name of the deep feature behind columns such as description_vec_000."""
        names = getattr(self, "feature_names_in_", [""])
        stems = {re.sub(r"_?\d+$", "", str(name)) for name in names}
        stem = stems.pop()
        return f"{stem}_" if stem and not stems else ""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _present(X: NDArray[np.floating]) -> NDArray[np.bool_]:
    return np.isfinite(X).all(axis=1)


class LinearProbe(_EmbeddingStep):
    """Predict the target from one embedding by a ridge, out of fold while training.

    ``fit_transform`` gives each training row the prediction of a model fitted without its
    fold; ``transform`` gives any row the prediction of the model fitted on all rows. As with
    scikit-learn's ``TargetEncoder``, the two differ on purpose. Inside a ``Pipeline`` or a
    ``ColumnTransformer`` the right one is called by itself.

    The strength of the regularisation is chosen in closed form, by the error on each left-out
    row (or group), within the training rows of each fold. Nothing about a row reaches its own
    prediction, but through the mean of the targets, which all rows share.

    Parameters
    ----------
    task : {"auto", "regression", "classification"}
        ``"auto"`` takes floats of more than two values, and integers of more than 20, for a
        regression; all else are classes. Several targets are numbers.
    alphas : sequence of float, optional
        Candidate strengths, relative to the number of rows. By default 13 from 0.001 to 1000.
    cv : int or splitter
        How training rows are held out: a number of shuffled folds (stratified, and grouped
        where `groups` are given), or any scikit-learn splitter, such as ``TimeSeriesSplit``
        for rows in the order of time. Rows that a splitter never holds out have no honest
        prediction; they are treated like missing vectors.
    missing : {"nan", "mean"}
        What a row without a vector gets: NaN, which trees route by themselves, or the mean
        prediction of the training rows, for models that refuse NaN.
    random_state : int
        Shuffles the folds.

    Attributes
    ----------
    coef_ : ndarray of shape (n_outputs, n_features)
    intercept_ : ndarray of shape (n_outputs,)
    alpha_ : float
        The strength chosen on all rows, relative to the number of rows.
    classes_ : ndarray of shape (n_classes,)
        For classification only.

    Notes
    -----
    One column for a regression and for two classes; one a class for more; one an output for
    several targets. Columns of a classification are scores around -1 and 1, no probabilities.

    Groups reach the probe as ``probe.fit_transform(X, y, groups=ids)``, in a pipeline as
    ``pipeline.fit(X, y, probe__groups=ids)``, and through a ``ColumnTransformer`` or a
    cross-validation by metadata routing: ``sklearn.set_config(enable_metadata_routing=True)``
    and ``LinearProbe().set_fit_request(groups=True)``.

    Examples
    --------
    >>> vectors = np.random.default_rng(0).normal(size=(60, 8))
    >>> price = vectors @ np.arange(8.0)
    >>> column = LinearProbe().fit_transform(vectors, price)
    >>> column.shape, bool(np.corrcoef(column[:, 0], price)[0, 1] > 0.99)
    ((60, 1), True)
    """

    def __init__(
        self,
        *,
        task: str = "auto",
        alphas: Sequence[float] | None = None,
        cv: Any = 5,
        missing: str = "nan",
        random_state: int | None = 0,
    ):
        self.task = task
        self.alphas = alphas
        self.cv = cv
        self.missing = missing
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> LinearProbe:
        """Fit one linear model on all rows that have a vector.

        Parameters
        ----------
        X : array-like of shape (n_rows, dim)
            NaN in the rows that have no vector.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        groups : array-like of shape (n_rows,), optional
            Rows of one group are held out together.
        """
        self._fit(X, y, groups)
        return self

    def fit_transform(self, X: Any, y: Any, *, groups: Any = None) -> Any:
        """Fit, and return the out-of-fold prediction of each training row.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
        """
        X, targets, groups = self._fit(X, y, groups)
        held_out = np.full(targets.shape, np.nan)
        present = _present(X)
        for train, test in self._folds(X, targets, groups):
            train, test = train[present[train]], test[present[test]]
            if len(train) > 1 and len(test):
                inside = None if groups is None else groups[train]
                ridge = fit_ridge(X[train], targets[train], self._strengths(), inside)
                # Around one mean for all folds: a fold's own mean lies low where its targets
                # lie high, and a tree would learn that.
                held_out[test] = ridge.predict(X[test]) - ridge.target_mean + self._mean
        return self._fill(held_out).astype(X.dtype, copy=False)

    def transform(self, X: Any) -> Any:
        """Predict with the model fitted on all training rows.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
        """
        check_is_fitted(self)
        X = self._read(X, reset=False)
        predicted = np.full((len(X), len(self.coef_)), np.nan)
        present = _present(X)
        predicted[present] = X[present] @ self.coef_.T + self.intercept_
        return self._fill(predicted).astype(X.dtype, copy=False)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns, e.g. ``description_vec_probe`` or ``photo_vec_probe_cabin``."""
        check_is_fitted(self)
        suffixes = [""] if len(self.coef_) == 1 else [f"_{label}" for label in self._labels]
        return np.array([f"{self._stem()}probe{suffix}" for suffix in suffixes], dtype=object)

    def _fit(self, X: Any, y: Any, groups: Any) -> tuple[Any, Any, Any]:
        if self.missing not in ("nan", "mean"):
            raise ValueError(f"missing={self.missing!r}: expected 'nan' or 'mean'")
        X, y = self._read(X, y=y, multi_output=True, ensure_min_samples=2)
        targets = self._targets(y)
        groups = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        present = _present(X)
        if present.sum() < 2:
            raise ValueError(
                f"LinearProbe needs at least 2 rows with a vector, got {present.sum()} of "
                f"{len(X)}: all others are NaN. Was the view embedded before these rows' time?"
            )
        inside = None if groups is None else groups[present]
        ridge: Ridge = fit_ridge(X[present], targets[present], self._strengths(), inside)
        self.coef_, self.intercept_, self.alpha_ = ridge.coef, ridge.intercept, ridge.alpha
        self._mean = ridge.target_mean
        return X, targets, groups

    def _strengths(self) -> NDArray[np.float64]:
        return np.logspace(-3, 3, 13) if self.alphas is None else np.asarray(self.alphas, float)

    def _targets(self, y: NDArray[Any]) -> NDArray[np.float64]:
        """Return the columns to regress on: numbers as they are, classes as -1 and 1."""
        if self.task not in ("auto", "regression", "classification"):
            raise ValueError(
                f"task={self.task!r}: expected 'auto', 'regression' or 'classification'"
            )
        classify = self.task == "classification" or (self.task == "auto" and is_classification(y))
        self.__dict__.pop("classes_", None)  # of an earlier fit on another task
        if not classify:
            targets = np.asarray(y, dtype=float).reshape(len(y), -1)
            self._labels: Any = range(targets.shape[1])
            return targets
        if np.ndim(y) == 2 and np.shape(y)[1] > 1:
            raise ValueError(
                f"y has {np.shape(y)[1]} columns: LinearProbe classifies one target. Fit one probe "
                f"for each, or leave task='auto', which takes several targets as numbers."
            )
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._labels = self.classes_
        if len(self.classes_) == 1:
            raise ValueError("LinearProbe cannot fit one class; y has no other")
        if len(self.classes_) == 2:
            return np.where(codes.reshape(-1, 1) == 1, 1.0, -1.0)
        return np.where(codes.reshape(-1, 1) == np.arange(len(self.classes_)), 1.0, -1.0)

    def _folds(self, X: Any, targets: Any, groups: Any) -> Iterator[tuple[Any, Any]]:
        if not isinstance(self.cv, int):
            from sklearn.model_selection import check_cv

            return check_cv(self.cv).split(X, targets[:, 0], groups)
        stratify = hasattr(self, "classes_")
        strata = targets.argmax(axis=1) if targets.shape[1] > 1 else targets[:, 0]
        return shuffled_folds(self.cv, strata if stratify else None, groups, self.random_state, X)

    def _fill(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        # One constant for all, so that filling tells nothing about a row's own target.
        if self.missing == "mean":
            return np.where(np.isnan(predicted), self._mean, predicted)
        return predicted

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


class EmbeddingPCA(_EmbeddingStep):
    """Principal components of one standardised embedding; rows without a vector stay NaN.

    Each dimension is scaled to the same spread first, so that a few loud ones do not take all
    components; on tables with texts that brings more (STRABLE, 108 tables; our own, too).

    Parameters
    ----------
    n_components : int
        At most; fewer where there are fewer rows or dimensions.
    random_state : int

    Attributes
    ----------
    pca_ : sklearn.decomposition.PCA
        Fitted on the rows that have a vector, standardised.
    center_, spread_ : ndarray of shape (dim,)
        Mean and standard deviation of each dimension; a constant one has an infinite spread.

    Examples
    --------
    >>> vectors = np.array([[0.0, 0.0], [2.0, 2.0], [np.nan, np.nan], [4.0, 4.0]])
    >>> EmbeddingPCA(1).fit_transform(vectors).round(1).ravel().tolist()
    [-1.7, 0.0, nan, 1.7]
    """

    def __init__(self, n_components: int = 30, *, random_state: int | None = 0):
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> EmbeddingPCA:
        """Find the directions along which the vectors differ most."""
        from sklearn.decomposition import PCA

        X = self._read(X)
        rows = X[_present(X)]
        if len(rows) == 0:
            raise ValueError(f"EmbeddingPCA got {len(X)} rows and no vector: all are NaN")
        size = min(self.n_components, *rows.shape)
        self.center_, self.spread_ = (part.astype(rows.dtype) for part in center_and_spread(rows))
        scaled = (rows - self.center_) / self.spread_
        self.pca_ = PCA(size, random_state=self.random_state).fit(scaled)
        return self

    def transform(self, X: Any) -> Any:
        """Project the vectors: shape (n_rows, n_components)."""
        check_is_fitted(self)
        X = self._read(X, reset=False)
        projected = np.full((len(X), self.pca_.n_components_), np.nan, dtype=X.dtype)
        present = _present(X)
        if present.any():
            projected[present] = self.pca_.transform((X[present] - self.center_) / self.spread_)
        return projected

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns, e.g. ``description_vec_pca_00``."""
        check_is_fitted(self)
        count = self.pca_.n_components_
        return np.array([f"{self._stem()}pca_{position:02d}" for position in range(count)], object)


def is_classification(y: Any) -> bool:
    """Guess the task from the target, as the docstring of `LinearProbe` says.

    >>> is_classification(["cabin", "tent"]), is_classification([0.5, 1.5])
    (True, False)
    """
    from sklearn.utils.multiclass import type_of_target

    kind = type_of_target(y)
    if kind.startswith(("continuous", "multilabel")) or kind.endswith("multioutput"):
        return False
    values = np.asarray(y)
    if values.dtype.kind not in "iuf":
        return True
    return len(np.unique(values)) <= (2 if values.dtype.kind == "f" else 20)


def shuffled_folds(
    folds: int, strata: Any, groups: Any, seed: int | None, X: Any
) -> Iterator[tuple[Any, Any]]:
    """Split rows into shuffled folds: by group where given, with like classes where possible."""
    from sklearn import model_selection as ms

    shuffle = {"shuffle": seed is not None, "random_state": seed}
    rarest = None if strata is None else np.unique(strata, return_counts=True)[1].min()
    if groups is not None:
        folds = min(folds, len(np.unique(groups)))
        if rarest is not None and rarest >= folds:
            return ms.StratifiedGroupKFold(folds, **shuffle).split(X, strata, groups)
        return ms.GroupKFold(folds, **shuffle).split(X, strata, groups)
    if rarest is not None and rarest >= folds:
        return ms.StratifiedKFold(folds, **shuffle).split(X, strata)
    return ms.KFold(min(folds, len(X)), **shuffle).split(X)
