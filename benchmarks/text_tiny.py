"""What ``text-tiny`` costs and keeps beside the network it was distilled from, ``minilm``.

Rows a second on one core, from text to vector, on real descriptions and titles; the lift that each
brings to XGBoost and a random forest, as deep columns without words, on the listings and for
comparison on the generated marketplace; the cosine between the two; and how long one unseen text
takes.

``--held-out FOLDER`` asks for the lift on six sets more (`_text_sets`), of which the table
has learnt nothing, and also with the words of the texts as columns, as users have them; two of
them were looked at while it was made. A third of an hour on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from _tables import Table, listings, marketplace
from _text_sets import SETS, held_out
from forms import gains

from deepfeast.transforms.encoders import get_encoder

TINY, TEACHER = "text-tiny", "minilm"
Lifts = dict[str, dict[str, tuple[float, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="more splits and more texts")
    parser.add_argument("--held-out", type=Path, help="a folder with two packages")
    asked = parser.parse_args()
    full = asked.full
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    began = time.perf_counter()
    splits = 20 if full else 8
    tables = {
        name: {
            "listings": listings(name),
            "marketplace": marketplace(1200 if full else 700, name),
        }
        for name in (TEACHER, TINY)
    }
    long = [text for text in tables[TINY]["listings"].texts if len(text) > 1000]
    titles = [text.split(". ")[0] for text in tables[TINY]["listings"].texts]
    rates = {
        "long": speed(long, 96 if full else 32),
        "titles": speed(list(dict.fromkeys(titles)), 512 if full else 256),
    }
    lifts: dict[str, Lifts] = {}
    for table in tables[TINY]:
        lifts[table] = compared(table, {name: of[table] for name, of in tables.items()}, splits)
    if asked.held_out:
        for table in SETS:
            both = held_out(asked.held_out, table, [TEACHER, TINY], 4000 if full else 2000)
            lifts[table] = compared(table, both, splits, ["no_words", "deep_columns"])
    shares = {f"lift_{name}": kept(of) for name, of in lifts.items()}
    for kind, (tiny, teacher) in rates.items():
        print(f"{kind:13}{TINY} {tiny:,.0f} rows/s   {TEACHER} {teacher:,.0f} rows/s")
    vectors = [get_encoder(name).encode(titles[:300]) for name in (TINY, TEACHER)]
    figures: dict[str, Any] = {
        "rows_per_s": {kind: [round(rate, 1) for rate in pair] for kind, pair in rates.items()},
        "lifts": lifts,
        "lift_marketplace": shares.pop("lift_marketplace"),
        "lift_kept_with_words": {name: kept(lifts[name], "deep_columns") for name in SETS}
        if asked.held_out
        else {},
        "similarities_kept": round(_correlation(*vectors), 3),
        "unseen_ms": round(unseen(long[:200]), 3),
        "splits": splits,
        "mean_characters": round(float(np.mean([len(text) for text in long]))),
        "seconds": round(time.perf_counter() - began),
    }
    ratios = {kind: round(tiny / teacher, 1) for kind, (tiny, teacher) in rates.items()}
    ratios |= shares
    versions = {name: version(name) for name in ("torch", "tokenizers", "numpy", "xgboost")}
    result = {"benchmark": "text_tiny", "ratios": ratios, "agree": True, "figures": figures}
    print(
        "RESULT "
        + json.dumps(result | {"versions": versions | {"python": platform.python_version()}})
    )


def compared(
    name: str, tables: Mapping[str, Table], splits: int, forms: Sequence[str] = ("no_words",)
) -> Lifts:
    """Return the lift of each encoder under each form and model, and half its interval."""
    found: Lifts = defaultdict(dict)
    for encoder, table in tables.items():
        for model, lifts in gains(table, splits, raw=False, only=forms).items():
            for form in forms:
                lift = lifts[form]["lift"], lifts[form]["interval"]
                found[f"{form}, {model}"][encoder] = lift
    for question, of in found.items():
        told = "   ".join(f"{encoder} {a:+.3f} ± {b:.3f}" for encoder, (a, b) in of.items())
        print(f"{name:12}{question:28}{told}   {len(table.texts):,} rows", flush=True)
    return found


def kept(lifts: Lifts, form: str = "no_words") -> float:
    """Return the share of the teacher's lift that is kept, of both models together."""
    asked = [of for question, of in lifts.items() if question.startswith(form)]
    tiny, teacher = (sum(of[name][0] for of in asked) for name in (TINY, TEACHER))
    return round(tiny / teacher, 3)


def speed(texts: list[str], few: int, rounds: int = 3) -> tuple[float, float]:
    """Rows a second on one core, in turns: ``text-tiny`` on all texts, ``minilm`` on a few."""
    runs = [
        (get_encoder(TINY, threads=1), texts),
        (get_encoder(TEACHER, threads=1), texts[:few]),
    ]
    taken: list[list[float]] = [[], []]
    for encoder, some in runs:
        encoder.encode(some[:8])
    for _ in range(rounds):
        for (encoder, some), times in zip(runs, taken, strict=True):
            started = time.perf_counter()
            encoder.encode(some)
            times.append((time.perf_counter() - started) / len(some))
    tiny, teacher = (float(np.median(times)) for times in taken)
    return 1 / tiny, 1 / teacher


def unseen(texts: list[str]) -> float:
    """Median milliseconds of one text at a time."""
    encoder, times = get_encoder(TINY, threads=1), []
    for text in texts:
        started = time.perf_counter()
        encoder.encode([text])
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1000


def _correlation(some: np.ndarray, other: np.ndarray) -> float:
    """Correlate the cosines of all pairs of texts under two encoders."""
    places = np.triu_indices(len(some), 1)
    cosines = []
    for vectors in (some, other):
        units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        cosines.append((units @ units.T)[places])
    return float(np.corrcoef(*cosines)[0, 1])


if __name__ == "__main__":
    main()
