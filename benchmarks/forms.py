"""In which form does a tree gain most from an embedding of a text?

Gains in R² of the log price over the handcrafted columns, on grouped 80/20 splits: the probe alone,
30 standardised components, every number of the vector, and `DeepColumns` as users get it, with the
words as a deep feature of their own, fitted on the training rows of each split. On real listings,
and for comparison on the generated marketplace.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from _tables import Table, listings, marketplace
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupShuffleSplit
from threadpoolctl import threadpool_limits

from deepfeast.pipelines.lift.ask.arms import WORDS
from deepfeast.pipelines.lift.ask.models import ready_models
from deepfeast.pipelines.lift.measure.stats import corrected_lift
from deepfeast.transforms import DeepColumns, EmbeddingPCA, LinearProbe
from deepfeast.transforms.arrow import flat_names
from deepfeast.transforms.encoders import get_encoder

TEST = 0.2
FORMS = ("probe", "components", "no_words", "deep_columns")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="more splits, and the raw vectors")
    parser.add_argument("--text", default="minilm", help="the encoder of the texts")
    arguments = parser.parse_args()
    began, found = time.perf_counter(), {}
    splits = 20 if arguments.full else 6
    for name, table in {
        "listings": listings(arguments.text),
        "marketplace": marketplace(1200 if arguments.full else 700, arguments.text),
    }.items():
        found[name] = gains(table, splits, raw=arguments.full)
        for model, forms in found[name].items():
            for form, one in forms.items():
                print(
                    f"{name:12}{model:15}{form:14}{one['lift']:+.3f} ± {one['interval']:.3f}"
                    f"{one['seconds']:8.2f} s a split",
                    flush=True,
                )
    boost, forest = found["listings"]["XGBoost"], found["listings"]["random forest"]
    ratios = {
        "over_probe": boost["deep_columns"]["lift"] / boost["probe"]["lift"],
        "over_components": boost["deep_columns"]["lift"] / boost["components"]["lift"],
        "forest_over_probe": forest["deep_columns"]["lift"] / forest["probe"]["lift"],
    }
    figures = {"splits": splits, "text": arguments.text, **found}
    figures["seconds"] = round(time.perf_counter() - began)
    versions = {name: version(name) for name in ("xgboost", "scikit-learn", "numpy")}
    result: dict[str, Any] = {
        "benchmark": "forms",
        "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()},
        "agree": True,
        "figures": figures,
        "versions": versions | {"python": platform.python_version()},
    }
    print("RESULT " + json.dumps(result))


def gains(
    table: Table, splits: int, *, raw: bool, only: Sequence[str] = ()
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the gain of each form under each model: mean, half its interval, time of a split."""
    target = table.frame[table.target].to_numpy(float)
    target = np.log(target) if table.log_target else target
    groups = table.frame[table.groups].to_numpy()
    hand = table.frame[table.handcrafted].copy()
    for name in hand.select_dtypes("category"):
        hand[name] = hand[name].cat.codes
    drawn = GroupShuffleSplit(splits, test_size=TEST, random_state=0).split(target, target, groups)
    differences, seconds = defaultdict(list), defaultdict(list)
    with threadpool_limits(1):
        for train, test in drawn:
            made = forms(table, target, groups, (train, test), raw=raw, only=only)
            before = hand.iloc[train], hand.iloc[test]
            for model, estimator in ready_models(None, classify=False).items():
                base = _score(estimator, *before, target[train], target[test])
                for form, (parts, took) in made.items():
                    started = time.perf_counter()
                    fitted, tested = (
                        pd.concat(pair, axis=1) for pair in zip(before, parts, strict=True)
                    )
                    score = _score(estimator, fitted, tested, target[train], target[test])
                    differences[model, form].append(score - base)
                    seconds[model, form].append(time.perf_counter() - started + took)
    share = TEST / (1 - TEST)
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for (model, form), values in differences.items():
        lift = corrected_lift(values, share)
        found[model][form] = {
            "lift": round(lift.mean, 4),
            "interval": round(lift.high - lift.mean, 4),
            "seconds": round(float(np.median(seconds[model, form])), 2),
        }
    return found


def forms(
    table: Table,
    target: np.ndarray,
    groups: np.ndarray,
    split: tuple[Any, Any],
    *,
    raw: bool,
    only: Sequence[str] = (),
) -> dict[str, tuple[list[pd.DataFrame], float]]:
    """Make the columns of each form: for training rows and test rows, and the time it took."""
    train, test = split
    vectors = table.frame[table.features["text_vec"]]
    asked: dict[str, tuple[Any, pd.DataFrame, float]] = {
        "probe": (LinearProbe(), vectors, 0.0),
        "components": (EmbeddingPCA(30), vectors, 0.0),
        "no_words": (DeepColumns(), vectors, 0.0),
    }
    if "deep_columns" in (only or FORMS):
        words = get_encoder(f"tfidf:{WORDS}")
        started = time.perf_counter()
        words.fit([table.texts[row] for row in train])
        coded = pd.DataFrame(words.encode(table.texts), columns=flat_names("words", WORDS))
        coding = time.perf_counter() - started
        asked["deep_columns"] = (DeepColumns(), pd.concat([vectors, coded], axis=1), coding)
    made = {}
    for form in only or FORMS:
        step, frame, took = asked[form]
        step.set_output(transform="pandas")
        started = time.perf_counter()
        fit = {} if form == "components" else {"groups": groups[train]}
        parts = [step.fit_transform(frame.iloc[train], target[train], **fit)]
        parts.append(step.transform(frame.iloc[test]))
        made[form] = (parts, took + time.perf_counter() - started)
    if raw:
        made["raw"] = ([vectors.iloc[train], vectors.iloc[test]], 0.0)
    return made


def _score(
    estimator: Any, fitted: pd.DataFrame, tested: pd.DataFrame, y: np.ndarray, truth: np.ndarray
) -> float:
    return float(r2_score(truth, clone(estimator).fit(fitted, y).predict(tested)))


if __name__ == "__main__":
    main()
