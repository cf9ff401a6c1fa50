"""What ``text-tiny`` costs and keeps beside the network it was distilled from, ``minilm``.

Rows a second on one core, from text to vector, on real descriptions and titles; the lift that each
brings to XGBoost and a random forest, as deep columns without words, on the listings and for
comparison on the generated marketplace; the cosine between the two; and how long one unseen text
takes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from _tables import listings, marketplace
from forms import gains

from deepfeast.transforms.encoders import get_encoder

TINY, TEACHER = "text-tiny", "minilm"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="more splits and more texts")
    full = parser.parse_args().full
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
    lifts = {
        name: {table: gains(one, splits, raw=False) for table, one in of.items()}
        for name, of in tables.items()
    }
    kept = {}
    for table, model in itertools.product(
        ("listings", "marketplace"), ("XGBoost", "random forest")
    ):
        tiny, teacher = (lifts[name][table][model]["no_words"]["lift"] for name in (TINY, TEACHER))
        kept[f"{table}, {model}"] = round(tiny / teacher, 3)
        print(f"{table:13}{model:15}{TINY} {tiny:+.3f}   {TEACHER} {teacher:+.3f}")
    for kind, (tiny, teacher) in rates.items():
        print(f"{kind:13}{TINY} {tiny:,.0f} rows/s   {TEACHER} {teacher:,.0f} rows/s")
    both = [get_encoder(name).encode(titles[:300]) for name in (TINY, TEACHER)]
    figures: dict[str, Any] = {
        "rows_per_s": {kind: [round(rate, 1) for rate in pair] for kind, pair in rates.items()},
        "lift_kept": kept,
        "similarities_kept": round(_correlation(*both), 3),
        "unseen_ms": round(unseen(long[:200]), 3),
        "splits": splits,
        "mean_characters": round(float(np.mean([len(text) for text in long]))),
        "seconds": round(time.perf_counter() - began),
    }
    ratios = {kind: round(tiny / teacher, 1) for kind, (tiny, teacher) in rates.items()}
    ratios["lift_listings"] = round(float(np.mean([*kept.values()][:2])), 3)
    versions = {name: version(name) for name in ("torch", "tokenizers", "numpy", "xgboost")}
    result = {"benchmark": "text_tiny", "ratios": ratios, "agree": True, "figures": figures}
    print(
        "RESULT "
        + json.dumps(result | {"versions": versions | {"python": platform.python_version()}})
    )


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
