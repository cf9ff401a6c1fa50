"""The models a comparison asks: yours, or known ones as people leave them."""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepfeast.transforms.cores import cores
from deepfeast.transforms.errors import LiftError, did_you_mean


@dataclass(frozen=True)
class _Known:
    """A model that is asked for by name.

    Attributes
    ----------
    label : str
        As the report calls it.
    package : str
        What it is imported from.
    make : callable
        Given `classify` and a seed, returns the estimator.
    """

    label: str
    package: str
    make: Callable[[bool, int], Any]


def ready_models(models: Mapping[str, Any] | None, classify: bool, seed: int = 0) -> dict[str, Any]:
    """Return the estimators to ask, by their names in the report.

    Parameters
    ----------
    models : mapping of str to estimator or str, optional
        A str names one of the known models, see `make_model`. By default XGBoost and a random
        forest.
    classify : bool
    seed : int
    """
    asked = models or {KNOWN[name].label: name for name in DEFAULT}
    return {
        label: make_model(model, classify, seed) if isinstance(model, str) else model
        for label, model in asked.items()
    }


def make_model(name: str, classify: bool, seed: int = 0) -> Any:
    """Return a known model: moderate, untuned, one thread.

    One thread, because a comparison runs its splits side by side.

    Parameters
    ----------
    name : {"xgboost", "random forest", "lightgbm", "catboost"}

    Raises
    ------
    LiftError
        If no model has that name, or its package is not installed.
    """
    return _known(name).make(classify, seed)


def _known(name: str) -> _Known:
    found = KNOWN.get(re.sub("[-_ ]+", " ", name.strip().lower()))
    if found is None:
        raise LiftError(
            f"no model {name!r}: expected {', '.join(KNOWN)}, or a module:factory of your own, "
            f"e.g. mymodels:old_forest.{did_you_mean(name, KNOWN)}"
        )
    if importlib.util.find_spec(found.package) is None:
        raise LiftError(
            f"the model {name!r} needs a package that is not installed. Run: "
            f"pip install 'deepfeast[{found.package}]'"
        )
    return found


def _xgboost(classify: bool, seed: int) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    return _with_categories(
        (XGBClassifier if classify else XGBRegressor)(
            n_estimators=150,
            max_depth=3,
            learning_rate=0.07,
            subsample=0.8,
            colsample_bytree=0.4,
            max_bin=64,
            n_jobs=1,
            random_state=seed,
        )
    )


def _forest(classify: bool, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return _with_categories(
        (RandomForestClassifier if classify else RandomForestRegressor)(
            n_estimators=60,
            min_samples_leaf=2,
            max_features=0.3,
            max_samples=0.5,
            n_jobs=1,
            random_state=seed,
        )
    )


def _lightgbm(classify: bool, seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    return _with_categories(
        (LGBMClassifier if classify else LGBMRegressor)(
            n_estimators=150,
            num_leaves=8,
            learning_rate=0.07,
            subsample=0.8,
            subsample_freq=1,
            colsample_bytree=0.4,
            max_bin=63,
            # Left to itself, it times two ways of building histograms: a rerun could differ.
            deterministic=True,
            force_col_wise=True,
            n_jobs=1,
            random_state=seed,
            verbosity=-1,
        )
    )


def _catboost(classify: bool, seed: int) -> Any:
    from deepfeast.pipelines.lift.ask.catboost import FrameClassifier, FrameRegressor

    return (FrameClassifier if classify else FrameRegressor)(seed)


KNOWN = {
    "xgboost": _Known("XGBoost", "xgboost", _xgboost),
    "random forest": _Known("random forest", "sklearn", _forest),
    "lightgbm": _Known("LightGBM", "lightgbm", _lightgbm),
    "catboost": _Known("CatBoost", "catboost", _catboost),
}
DEFAULT = ("xgboost", "random forest")


def linear_on_probes(classify: bool) -> Any:
    """Return the model of the arms that have nothing but the embedding."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline

    last = LogisticRegression(max_iter=1000) if classify else LinearRegression()
    return make_pipeline(SimpleImputer(keep_empty_features=True), last)


def side_by_side(
    run: Callable[[Any], Any], items: Sequence[Any], n_jobs: int | None = None
) -> list[Any]:
    """Run a function over items in threads, quietly, each fit on one thread of its own.

    Small fits gain nothing from more threads within, and lose much where the machine is busy.
    """
    from sklearn.utils.parallel import Parallel, delayed
    from threadpoolctl import threadpool_limits

    jobs = n_jobs or min(4, cores())
    with threadpool_limits(1), warnings.catch_warnings():
        # Threads that set filters undo each other's, so filters alone would not keep it quiet.
        warnings.showwarning = lambda *warning, **more: None
        warnings.simplefilter("ignore")
        return list(Parallel(jobs, backend="threading")(delayed(run)(item) for item in items))


def _with_categories(model: Any) -> Any:
    """Put words before numbers: categories become codes, numbers pass."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1
    )
    words = make_column_selector(dtype_exclude=["number", "bool"])
    columns = make_column_transformer((codes, words), remainder="passthrough")
    return make_pipeline(columns, model)


def named_models(named: Sequence[str], pickled: Path | None = None) -> dict[str, Any] | None:
    """Return what a command line asks for; None where that is nothing.

    Parameters
    ----------
    named : sequence of str
        Known models, see `make_model`, and ``module:factory`` of your own.
    pickled : Path, optional
        A pickled estimator; it runs code.

    Returns
    -------
    dict of str to estimator or str
        For `ready_models`: a known model stays a name until the task is known.

    Raises
    ------
    LiftError
        If a model cannot be had, or two have one name.
    """
    found: list[tuple[str, Any]] = [
        (name.partition(":")[2], load_model(name)) if ":" in name else (_known(name).label, name)
        for name in named
    ]
    found += [(pickled.stem, load_pickle(pickled))] if pickled else []
    models = dict(found)
    if len(models) < len(found):
        raise LiftError(f"two models of one name among {', '.join(label for label, _ in found)}.")
    return models or None


def load_model(where: str) -> Any:
    """Call the factory (or class) named ``module:factory`` and return its estimator.

    The working directory can be imported from, as with ``python -m``.
    """
    module_name, colon, factory = where.partition(":")
    if not colon or not factory:
        raise LiftError(f"model {where!r}: expected module:factory, e.g. mymodels:old_forest")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise LiftError(
            f"model {where!r}: {error}. The module is looked for in the working directory "
            f"and among the installed packages."
        ) from error
    if not hasattr(module, factory):
        public = ", ".join(name for name in vars(module) if not name.startswith("_"))
        raise LiftError(f"model {where!r}: {module_name} has no {factory!r}. It has: {public}.")
    made = getattr(module, factory)
    ready = hasattr(made, "fit") and not isinstance(made, type)
    return made() if callable(made) and not ready else made


def load_pickle(path: Path) -> Any:
    """Unpickle an estimator. A pickle runs code: only ever call this on the user's word."""
    import joblib

    model = joblib.load(path)
    if not hasattr(model, "fit"):
        raise LiftError(f"{path} holds a {type(model).__name__}, which has no fit method.")
    return model
