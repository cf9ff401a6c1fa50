"""What a text brings a model by deepfeast and by skrub, in the same folds, and how long it takes.

On both sides the same network (``minilm``), the same handcrafted columns, the same XGBoost and the
same grouped splits, those of `deepfeast lift`. Ours: `DeepColumns` on vectors that are encoded
once, and on the text's words. skrub's ``LLMEncoder`` (``TextEncoder`` before 0.11) and
``StringEncoder`` with their defaults, fitted in each fold as a scikit-learn pipeline does, which
runs the network once a fold and side. Scores are R² of the log price; a ratio of scores is ours
over skrub's, its spread the corrected 95 % interval of the difference (Nadeau and Bengio 2003).

Real listings, where they are at hand, and the generated marketplace; descriptions are cut after
40 words, or the network's time on two cores would be most of an hour.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _rounds import spread
from _tables import SHARED, sales_as_of, together
from sklearn.base import clone
from sklearn.metrics import r2_score
from threadpoolctl import threadpool_limits

from deepfeast.pipelines.lift import Question
from deepfeast.pipelines.lift.ask.arms import WORDS
from deepfeast.pipelines.lift.ask.models import make_model
from deepfeast.pipelines.lift.ask.problem import Problem, read_problem
from deepfeast.pipelines.lift.ask.splits import make_rounds
from deepfeast.pipelines.lift.measure.stats import corrected_lift
from deepfeast.transforms import DeepColumns
from deepfeast.transforms.arrow import flat_names
from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.machine import smallest_cosine
from deepfeast.transforms.encoders.text.encoder import TextEncoder

FOLDS = 5
CUT = 40
Pair = tuple[pd.DataFrame, pd.DataFrame]


@dataclass
class Found:
    """What one way made of one table: a score and the seconds of each fold, the fit left out."""

    scores: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="whole texts, a larger marketplace")
    arguments = parser.parse_args()
    cut, size = (10_000, 1_200) if arguments.full else (CUT, 500)
    tables = {"marketplace": marketplace(size)}
    if (SHARED / "data/listings/listings.csv").is_file():
        tables = {"listings": listings()} | tables
    ratios: dict[str, float] = {}
    spreads: dict[str, list[float]] = {}
    figures: dict[str, Any] = {}
    cosines = []
    for name, (frame, target, groups) in tables.items():
        frame["text"] = frame["text"].str.split().str[:cut].str.join(" ")
        found, once, cosine = in_the_same_folds(frame, target, groups)
        cosines.append(cosine)
        judge(name, found, once, ratios, spreads)
        figures[name] = {way: summary(one) for way, one in found.items()}
        figures[name] |= {"rows": len(frame), "encoded_once_s": once, "cosine": cosine}
        for way, one in figures[name].items():
            print(f"{name:12}{way:16}{one}")
    rows = ", ".join(f"{len(table[0]):,} of {name}" for name, table in tables.items())
    packages = ("skrub", "sentence-transformers", "scikit-learn", "xgboost", "torch", "pandas")
    result = {
        "benchmark": "skrub_folds",
        "ratios": ratios,
        "agree": min(cosines) >= 0.999,
        "figures": figures,
        "spread": spreads,
        "data": f"rows: {rows}; texts of at most {cut} words; {FOLDS} folds grouped by "
        "room or seller",
        "versions": {name: version(name) for name in packages}
        | {"python": platform.python_version()},
    }
    print("RESULT", json.dumps(result, default=float))
    return 0 if result["agree"] else 1


def listings() -> tuple[pd.DataFrame, str, str]:
    """Return 988 real listings with a text, the target's name and the groups'."""
    from deepfeast.pipelines.demo.listings import NUMBERS

    rows = pd.read_csv(SHARED / "data/listings/listings.csv")
    kept = rows[["price_night", "room", *NUMBERS]].astype(dict.fromkeys(NUMBERS, float))
    return kept.assign(text=together(rows)), "price_night", "room"


def marketplace(size: int) -> tuple[pd.DataFrame, str, str]:
    """Return sales of the generated marketplace with a text; about .9 `size` rows."""
    with tempfile.TemporaryDirectory() as folder:
        rows = sales_as_of(Path(folder), size)
    kept = rows.drop(columns=["listing_id", "event_timestamp", "title", "description", "photo"])
    kept["category_code"] = kept["category_code"].astype("category")
    return kept.assign(text=together(rows)), "price", "seller_id"


def in_the_same_folds(
    frame: pd.DataFrame, target: str, groups: str
) -> tuple[dict[str, Found], float, float]:
    """Score every way in every fold.

    Returns
    -------
    found : dict of str to Found
    seconds : float
        Our encoding, once for all folds.
    cosine : float
        The smallest one between our vectors and skrub's.
    """
    from skrub import LLMEncoder, StringEncoder

    encoder = get_encoder("minilm")
    assert isinstance(encoder, TextEncoder)
    texts = frame["text"]
    encoder.encode(texts[:8].tolist())  # the network is loaded, as skrub's is below
    started = time.perf_counter()
    matrix = encoder.encode(texts.tolist())
    once = time.perf_counter() - started
    names = flat_names("text_vec", encoder.dim)
    vectors = pd.DataFrame(matrix, columns=names)
    question = Question(target, groups, log_target=True, repeats=1, most_repeats=1, folds=FOLDS)
    table = pd.concat([frame.drop(columns="text"), vectors], axis=1)
    problem = read_problem(table, question, {"text_vec": names})
    (splits,) = make_rounds(problem, question)
    whole = LLMEncoder(str(encoder.folder), n_components=None, device="cpu")
    theirs = whole.fit_transform(texts[:64]).to_numpy()
    skrubs = {
        "LLMEncoder": LLMEncoder(str(encoder.folder), device="cpu", random_state=0),
        "StringEncoder": StringEncoder(random_state=0),
    }
    ways = ("handcrafted", "ours", *skrubs)
    found = {way: Found() for way in ways}
    for split in splits:
        for way in ways:
            began = time.perf_counter()
            # Small matrices gain nothing from more threads; a network does.
            with threadpool_limits(None if way == "LLMEncoder" else 1):
                if way == "ours":
                    parts = our_columns(problem, vectors, texts, split)
                elif way == "handcrafted":
                    parts = pd.DataFrame(index=split[0]), pd.DataFrame(index=split[1])
                else:
                    parts = their_columns(clone(skrubs[way]), texts, split)
            found[way].seconds.append(time.perf_counter() - began)
            found[way].scores.append(score(problem, parts, split))
    return found, once, smallest_cosine(matrix[:64], theirs)


def our_columns(problem: Problem, vectors: pd.DataFrame, texts: pd.Series, split: Any) -> Pair:
    """Return `DeepColumns` of the vectors and of the words, fitted on the training rows."""
    train, test = split
    words = get_encoder(f"tfidf:{WORDS}")
    words.fit(texts.iloc[train].tolist())
    coded = pd.DataFrame(words.encode(texts.tolist()), columns=flat_names("words", WORDS))
    both = pd.concat([vectors, coded], axis=1)
    step = DeepColumns()
    assert problem.groups is not None
    fitted = step.fit_transform(both.iloc[train], problem.y[train], groups=problem.groups[train])
    return fitted, step.transform(both.iloc[test])


def their_columns(encoder: Any, texts: pd.Series, split: Any) -> Pair:
    """Return the columns of an encoder of skrub, fitted on the training rows."""
    train, test = (texts.iloc[rows] for rows in split)
    return encoder.fit_transform(train), encoder.transform(test)


def score(problem: Problem, parts: Pair, split: Any) -> float:
    """Fit XGBoost on the handcrafted columns and these; return R² on the tested rows."""
    hand = problem.frame[problem.handcrafted]
    fitted, tested = (
        pd.concat([hand.iloc[rows], part], axis=1) for rows, part in zip(split, parts, strict=True)
    )
    train, test = split
    with threadpool_limits(1):
        model = make_model("xgboost", classify=False).fit(fitted, problem.y[train])
        return float(r2_score(problem.y[test], model.predict(tested)))


def judge(
    name: str,
    found: dict[str, Found],
    once: float,
    ratios: dict[str, float],
    spreads: dict[str, list[float]],
) -> None:
    """Add the ratios of scores and of times of one table."""
    ours = [once / FOLDS + seconds for seconds in found["ours"].seconds]
    for way in ("LLMEncoder", "StringEncoder"):
        theirs = found[way]
        differences = np.subtract(found["ours"].scores, theirs.scores)
        lift, base = corrected_lift(differences, 1 / (FOLDS - 1)), float(np.mean(theirs.scores))
        ratios[f"{name}_{way}_score"] = round(1 + lift.mean / base, 4)
        spreads[f"{name}_{way}_score"] = [round(1 + end / base, 4) for end in (lift.low, lift.high)]
        ratios[f"{name}_{way}_time"] = round(sum(theirs.seconds) / sum(ours), 3)
        spreads[f"{name}_{way}_time"] = spread(theirs.seconds, ours)


def summary(found: Found) -> dict[str, float]:
    return {
        "r2": round(float(np.mean(found.scores)), 4),
        "seconds": round(sum(found.seconds), 2),
    }


if __name__ == "__main__":
    sys.exit(main())
