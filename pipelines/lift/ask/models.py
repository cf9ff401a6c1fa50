"""The models a comparison asks: yours, or XGBoost and a random forest as people leave them."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deepfeast.transforms.cores import cores
from deepfeast.transforms.errors import LiftError


def default_models(classify: bool, seed: int = 0) -> dict[str, Any]:
    """Return XGBoost and a random forest: moderate, untuned, one thread each.

    One thread, because a comparison runs its splits side by side.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from xgboost import XGBClassifier, XGBRegressor

    boost = (XGBClassifier if classify else XGBRegressor)(
        n_estimators=150,
        max_depth=3,
        learning_rate=0.07,
        subsample=0.8,
        colsample_bytree=0.4,
        max_bin=64,
        n_jobs=1,
        random_state=seed,
    )
    forest = (RandomForestClassifier if classify else RandomForestRegressor)(
        n_estimators=60,
        min_samples_leaf=2,
        max_features=0.3,
        max_samples=0.5,
        n_jobs=1,
        random_state=seed,
    )
    return {"XGBoost": _with_categories(boost), "random forest": _with_categories(forest)}


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

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jobs = n_jobs or min(4, cores())
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


def named_models(model: str | None, pickled: Path | None) -> dict[str, Any] | None:
    """Return the user's own model by its name; None where the default ones are asked.

    Raises
    ------
    LiftError
        If two are given, or the one that is cannot be had.
    """
    if model and pickled:
        raise LiftError("give one model: module:factory, or a pickle.")
    if model:
        return {model.partition(":")[2]: load_model(model)}
    return {pickled.stem: load_pickle(pickled)} if pickled else None


def load_model(where: str) -> Any:
    """Call the factory named ``module:factory`` and return its estimator.

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
    return made() if callable(made) and not hasattr(made, "fit") else made


def load_pickle(path: Path) -> Any:
    """Unpickle an estimator. A pickle runs code: only ever call this on the user's word."""
    import joblib

    model = joblib.load(path)
    if not hasattr(model, "fit"):
        raise LiftError(f"{path} holds a {type(model).__name__}, which has no fit method.")
    return model
