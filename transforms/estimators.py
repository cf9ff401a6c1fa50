"""Features of a Feast repo as a step of a scikit-learn pipeline."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from deepfeast.transforms.arrow import as_pandas
from deepfeast.transforms.errors import ColumnNotFound, FeatureNotFound
from deepfeast.transforms.feast_api import config_file, open_store
from deepfeast.transforms.probe import EmbeddingPCA, LinearProbe

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EmbeddingPCA", "FeastFeatures", "LinearProbe"]

TIMESTAMP = "event_timestamp"
CACHED_BYTES = 1 << 30


class FeastFeatures(TransformerMixin, BaseEstimator):
    """Turn entity keys and times into features, inside an existing ``Pipeline``.

    Parameters
    ----------
    repo : str or Path
        Folder of the Feast repo.
    service : str
        Name of the feature service.
    online : bool
        Look up what holds now, in the online store; times are then not needed. A pipeline
        fitted on history scores online after ``pipeline.set_params(features__online=True)``.
    as_known_at : {None, "created"}
        As in `training_frame`.
    cache_seconds : float
        Rows that were looked up are kept in memory for so long, so that a cross-validation
        asks for each row once, however many folds and candidates it has. A row is known by
        its keys and its time. Zero asks anew each time; online lookups always do.

    Attributes
    ----------
    columns_ : list of str
        The columns of the service, in order.
    n_features_in_ : int
    feature_names_in_ : ndarray of str

    Notes
    -----
    The estimator is known by repo and service alone: it pickles and clones without the store,
    which is opened where it is used.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> features = FeastFeatures("feature_repo", service="price_model")
    >>> model = make_pipeline(features, RandomForestRegressor())
    >>> model.fit(labels[["listing_id", "event_timestamp"]], labels["price"])  # doctest: +SKIP
    """

    def __init__(
        self,
        repo: str | Path = "feature_repo",
        service: str | None = None,
        *,
        online: bool = False,
        as_known_at: str | None = None,
        cache_seconds: float = 600.0,
    ):
        self.repo = repo
        self.service = service
        self.online = online
        self.as_known_at = as_known_at
        self.cache_seconds = cache_seconds

    def fit(self, X: pd.DataFrame, y: Any = None) -> FeastFeatures:
        """Learn which columns the service has; nothing is looked up.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns)
            Entity keys and ``event_timestamp``; other columns are passed over.
        """
        from deepfeast.transforms.columns import service_columns

        frame = self._read(X)
        if self.service is None:
            raise FeatureNotFound(
                "FeastFeatures got no service: say FeastFeatures(repo, service='price_model')."
            )
        if not self.online and TIMESTAMP not in frame.columns:
            raise ColumnNotFound.of(TIMESTAMP, "X (the time of each row)", frame.columns)
        columns = service_columns(_store(self.repo), self.service)
        self.columns_ = [name for column in columns for name in column.columns]
        self.feature_names_in_ = np.array(list(map(str, frame.columns)), dtype=object)
        self.n_features_in_ = frame.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Look the features up.

        Returns
        -------
        DataFrame of shape (n_rows, n_features)
            The rows of `X`, same order and index; the service's columns, NaN where nothing is
            known.
        """
        check_is_fitted(self)
        frame = self._read(X)
        if self.online:
            from deepfeast.transforms.lookup import OnlineFeatures

            return OnlineFeatures(_store(self.repo), self.service or "").frame(frame)
        if TIMESTAMP not in frame.columns:
            raise ColumnNotFound.of(TIMESTAMP, "X (or pass online=True)", frame.columns)
        found = _CACHE.look_up(self, self._asked(frame))
        found.index = frame.index
        return found

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name the columns, as in the training frame."""
        check_is_fitted(self)
        return np.array(self.columns_, dtype=object)

    def _read(self, X: Any) -> pd.DataFrame:
        if hasattr(X, "__arrow_c_stream__"):
            return as_pandas(X)
        if not isinstance(X, pd.DataFrame):
            raise TypeError(
                f"FeastFeatures takes a DataFrame with entity keys and {TIMESTAMP}, got "
                f"{type(X).__name__}."
            )
        return X

    def _asked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Keep the columns that decide the answer: keys, time and request data."""
        from deepfeast.transforms.columns import resolve_features
        from deepfeast.transforms.history.retrieval import label_columns

        store = _store(self.repo)
        needed = label_columns(store, resolve_features(store, self.service))
        for name, reason in needed.items():
            if name not in frame.columns:
                raise ColumnNotFound.of(name, f"X ({reason})", map(str, frame.columns))
        return frame[[*needed, TIMESTAMP]].reset_index(drop=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.no_validation = True
        tags.requires_fit = True
        return tags


class _RowCache:
    """Rows looked up lately, by what was asked; bounded in time and memory, one a process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Any, ...], tuple[float, pd.DataFrame]] = OrderedDict()
        self.lookups = 0

    def look_up(self, step: FeastFeatures, asked: pd.DataFrame) -> pd.DataFrame:
        """Return the features of rows; ask the store only for those not at hand."""
        key = (str(Path(step.repo).resolve()), step.service, step.as_known_at)
        codes = pd.util.hash_pandas_object(asked, index=False)
        kept = self._fresh(key, step.cache_seconds)
        new = ~codes.isin(kept.index) if kept is not None else np.ones(len(codes), dtype=bool)
        if kept is None or new.any():
            rows = asked[np.asarray(new)]
            found = self._ask(step, rows).set_index(pd.Index(codes[np.asarray(new)]))
            found = found[~found.index.duplicated()]
            kept = found if kept is None else pd.concat([kept, found])
            self._keep(key, kept, step.cache_seconds)
        return kept.loc[codes].copy()

    def _ask(self, step: FeastFeatures, rows: pd.DataFrame) -> pd.DataFrame:
        from deepfeast.transforms.join import training_frame

        self.lookups += 1
        frame = training_frame(
            _store(step.repo), rows, service=step.service, as_known_at=step.as_known_at
        )
        return frame[step.columns_]

    def _fresh(self, key: tuple[Any, ...], seconds: float) -> pd.DataFrame | None:
        since, kept = self._kept.get(key, (0.0, None))
        return kept if time.monotonic() - since < seconds else None

    def _keep(self, key: tuple[Any, ...], found: pd.DataFrame, seconds: float) -> None:
        since = self._kept[key][0] if self._fresh(key, seconds) is not None else time.monotonic()
        self._kept.pop(key, None)
        if seconds > 0 and found.memory_usage(index=False).sum() <= CACHED_BYTES:
            self._kept[key] = (since, found)
        while sum(f.memory_usage(index=False).sum() for _, f in self._kept.values()) > CACHED_BYTES:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget every row."""
        self._kept.clear()


_CACHE = _RowCache()
_STORES: dict[tuple[str, float], Any] = {}


def clear_cache() -> None:
    """Forget the rows that `FeastFeatures` keeps in memory, e.g. after ``deepfeast embed``."""
    _CACHE.clear()


def _store(repo: str | Path) -> Any:
    """Open a repo once in a process; again after its configuration changed."""
    folder = Path(repo).resolve()
    config = config_file(folder)
    key = (str(folder), config.stat().st_mtime if config.exists() else 0.0)
    if key not in _STORES:
        _STORES[key] = open_store(folder)
    return _STORES[key]


def probes(features: dict[str, Sequence[str]], **settings: Any) -> Any:
    """Put one `LinearProbe` on each deep feature, other columns beside them untouched.

    Parameters
    ----------
    features : dict of str to sequence of str
        Flat columns of each deep feature.
    **settings
        For `LinearProbe`.

    Returns
    -------
    ColumnTransformer
        Old columns keep their order and come last; each embedding becomes its probe.
    """
    from sklearn.compose import ColumnTransformer

    steps = [(name, LinearProbe(**settings), list(columns)) for name, columns in features.items()]
    return ColumnTransformer(steps, remainder="passthrough", verbose_feature_names_out=False)
