"""Does the verdict stay the same, say no to noise, and find what is there?

``same``: the same table asked again and again, each time with other splits; the share of answers
(headline and each main arm) that agree with what most runs said, where "borderline" agrees with
either neighbour. ``true_no``: the share of tables with nothing but noise for vectors whose headline
is no "yes". ``power``: the share of tables, with a planted lift of twice what the report itself
calls detectable, whose headline is "yes". By default few runs, of one model; ``--full`` asks both
default models, 40 times on each of two tables, 200 tables of noise and 50 with a lift.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import Counter
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from _tables import Table, listings, marketplace

YES, NEAR, NO = "helps", "borderline", "no evidence"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all runs, both models (hours)")
    full = parser.parse_args().full
    began = time.perf_counter()
    tables = {"listings": listings(), "marketplace": marketplace(1200 if full else 500)}
    steady = [
        stability(name, table, 40 if full else 6, full=full) for name, table in tables.items()
    ]
    noise = [says_yes(noise_table(seed), seed, full=full) for seed in range(200 if full else 30)]
    lift = planted_lift(full=full)
    found = [
        says_yes(noise_table(1000 + seed, lift), seed, full=full)
        for seed in range(50 if full else 15)
    ]
    ratios = {
        "same": round(float(np.mean([one["same"] for one in steady])), 3),
        "true_no": round(1 - float(np.mean(noise)), 3),
        "power": round(float(np.mean(found)), 3),
    }
    figures: dict[str, Any] = {
        "exchanged": max(one["exchanged"] for one in steady),
        "noise_sets": len(noise),
        "planted_sets": len(found),
        "planted_effect": round(lift, 3),
        "tables": steady,
        "seconds": round(time.perf_counter() - began),
    }
    print(f"{'same':10}{ratios['same']:.3f}   (yes and no exchanged: {figures['exchanged']:.3f})")
    print(f"{'true_no':10}{ratios['true_no']:.3f}   of {len(noise)} tables of noise")
    print(f"{'power':10}{ratios['power']:.3f}   of {len(found)} tables with a planted lift")
    versions = {name: version(name) for name in ("xgboost", "scikit-learn", "numpy")}
    versions["python"] = platform.python_version()
    result = {"benchmark": "verdict", "ratios": ratios, "agree": True, "figures": figures}
    print("RESULT " + json.dumps(result | {"versions": versions}))


def stability(name: str, table: Table, runs: int, *, full: bool) -> dict[str, Any]:
    """Ask one table again and again: how often does an answer agree with most of the answers?"""
    answers = [verdicts(table.asked(seed=100 + run), full=full) for run in range(runs)]
    agrees, exchanged, lines = [], [], {}
    for question in answers[0]:
        said = Counter(answer[question] for answer in answers)
        most = said.most_common(1)[0][0]
        agrees += [word == most or NEAR in (word, most) for word in said.elements()]
        other = {YES: NO, NO: YES}.get(most)
        exchanged.append(said[other] / runs if other else 0.0)
        lines[question] = dict(said)
        print(f"{name:12} {question:44} {dict(said)}", flush=True)
    return {
        "table": name,
        "runs": runs,
        "same": round(float(np.mean(agrees)), 3),
        "exchanged": round(max(exchanged), 3),
        "answers": lines,
    }


def verdicts(asked: dict[str, Any], *, full: bool) -> dict[str, str]:
    """Return the headline's first word as a verdict, and the verdict of each main arm."""
    from deepfeast.pipelines.lift import compare
    from deepfeast.pipelines.lift.tell.words import headline

    models = None if full else {"XGBoost": "xgboost"}
    brief: dict[str, Any] = {"representations": ("columns",), "alone": False, "control": False}
    comparison = compare(**brief | asked, models=models)
    said = {
        f"{one.model}: {one.arm.label}": NO if one.verdict in ("hurts", None) else str(one.verdict)
        for one in comparison.outcomes
        if one.arm.kind == "deep"
    }
    first = headline(comparison).split(maxsplit=1)[0].strip(":.")
    return {"headline": {"Yes": YES, "Borderline": NEAR}.get(first, NO), **said}


def says_yes(asked: dict[str, Any], seed: int, *, full: bool) -> bool:
    """Say whether the headline of a table is "yes"."""
    return verdicts(asked | {"seed": seed}, full=full)["headline"] == YES


def noise_table(seed: int, effect: float = 0.0, rows: int = 200) -> dict[str, Any]:
    """Make a table of two columns and a vector of 32 numbers, which moves the target by `effect`.

    The columns explain half of what is not noise; with an effect of zero the vector says nothing.
    """
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(rows, 32)).astype(np.float32)
    names = [f"vec_{number:03d}" for number in range(32)]
    frame = pd.DataFrame(vectors, columns=names)
    frame["size"], frame["age"] = random.normal(size=(2, rows))
    frame["price"] = frame["size"] + 0.5 * frame["age"] + random.normal(size=rows)
    frame["price"] += effect * vectors @ random.normal(size=32) / np.sqrt(32)
    return {"frame": frame, "target": "price", "groups": None, "feature_groups": {"vec": names}}


def planted_lift(*, full: bool) -> float:
    """Find the effect whose true lift is twice what the report calls detectable.

    The lift of an effect is measured on tables that are not used again.
    """
    from deepfeast.pipelines.lift import compare

    for effect in np.arange(0.5, 4.1, 0.25):
        means: list[float] = []
        sizes: list[float] = []
        for seed in range(20 if full else 5):
            comparison = compare(
                **noise_table(5000 + seed, effect),
                representations=("columns",),
                models={"XGBoost": "xgboost"},
                alone=False,
                control=False,
            )
            outcome = comparison.outcome("XGBoost", "+ vec (columns)")
            assert outcome.lift is not None
            assert outcome.detectable is not None
            means.append(outcome.lift.mean)
            sizes.append(outcome.detectable)
        if np.mean(means) >= 2 * np.mean(sizes):
            return float(effect)
    raise RuntimeError("no effect up to 4 is twice what is detectable")


if __name__ == "__main__":
    main()
