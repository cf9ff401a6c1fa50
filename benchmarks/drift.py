"""Does the drift alarm keep quiet where nothing changed, and ring where something did?

Texts go through `text-tiny` (or another encoder) once; each trial draws a reference of 1,000 and a
recent window of 300 of them, and asks what `deepfeast drift` asks of vectors. Quiet windows are of
three kinds: rows that have nothing to do with one another, rows in clusters of 40, as of dealers of
one kind of thing, and dealers that have rows in both windows. In clusters the alarm that shuffles
rows is the peer, on the same windows. Texts are parts of real descriptions where those are at hand,
and descriptions of the generated marketplace.
Then a table of 100,000 and 10,000 rows is compared on one thread, reading included.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
from _tables import SHARED
from embed_repo import TIME, embed, make_store, report
from threadpoolctl import threadpool_limits

from deepfeast.pipelines.demo.market import texts as market
from deepfeast.pipelines.demo.market.items import invent
from deepfeast.pipelines.drift import drift
from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.monitoring.windows import bonferroni, compare_vectors

REFERENCE, RECENT, CLUSTER, LEVEL = 1000, 300, 40, 0.05
BIG_ENCODER = "python:deepfeast.transforms.testing:TextSums?dim=384"
# German sentences are put together from these.
NOUNS = """
der Schrank, das Sofa, der Tisch, die Kommode, das Bett, der Sessel, die Lampe, das Regal,
die Hütte, das Zimmer, die Wohnung, das Häuschen, der Garten, die Küche, das Dach, die Terrasse
"""
SAID = """
ist gut erhalten, hat ein paar Kratzer, stammt aus den fünfziger Jahren, wurde kaum benutzt,
liegt mitten im Wald, bietet Platz für vier Gäste, wurde im Frühjahr neu gestrichen,
steht seit Jahren im Keller, ist aus massiver Eiche, hat einen herrlichen Blick auf die Berge
"""
WHERE = """
nahe am See, in einem ruhigen Dorf, bei den Großeltern, unter dem Dach, gleich hinter der Kirche,
im alten Teil der Stadt
"""
AFTER = """
Nur an Selbstabholer, Haustiere sind leider nicht erlaubt, Der Preis ist verhandelbar,
Frühstück gibt es auf Wunsch, Bei Fragen einfach schreiben, Wir freuen uns auf Ihren Besuch
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="five times as many trials")
    parser.add_argument("--text", default="text-tiny", help="the encoder of the texts")
    arguments = parser.parse_args()
    many = 5 if arguments.full else 1
    figures: dict[str, object] = {}
    quiet: list[bool] = []
    found: dict[str, list[bool]] = {}
    by_row: list[bool] = []
    with threadpool_limits(1):
        for name, (texts, kinds) in pools().items():
            pool = Pool(texts, kinds, arguments.text)
            alarms = {
                "independent": [pool.independent(seed) for seed in range(60 * many)],
                "clusters": [pool.clusters(seed) for seed in range(60 * many)],
                "dealers": [pool.dealers(seed) for seed in range(60 * many)],
            }
            quiet += [one for some in alarms.values() for one in some]
            by_row += [pool.clusters(seed, by_row=True) for seed in range(15 * many)]
            for what, change in CHANGES.items():
                rings = [pool.changed(seed, change) for seed in range(20 * many)]
                found.setdefault(what, []).extend(rings)
                figures[f"{name}_{what}"] = float(np.mean(rings))
            figures |= {f"{name}_alarms_{kind}": np.mean(one) for kind, one in alarms.items()}
        figures["seconds_100k_10k"], figures["cpu_seconds_100k_10k"] = big(100_000, 10_000)
    shares = {what: float(np.mean(rings)) for what, rings in found.items()}
    ratios = {
        "quiet": 1 - float(np.mean(quiet)),
        "found": min(shares[what] for what in ("german", "misspelt", "misspelt_words")),
    }
    figures |= {
        "unchanged_windows": len(quiet),
        "row_permutation_false_alarms": float(np.mean(by_row)),
        **{f"found_{what}": share for what, share in shares.items()},
    }
    return report("drift", ratios, figures, agree=ratios["quiet"] >= 0.92)


def pools() -> dict[str, tuple[list[str], list[str]]]:
    """Return texts by where they are from, each with the kind of thing that it is about."""
    rng = np.random.default_rng(0)
    items = invent(8000, 0)
    made = [market.description(item, rng) for item in items]
    found = {"marketplace": (made, [item.kind for item in items])}
    path = SHARED / "data" / "listings" / "listings.csv"
    if path.is_file():
        import pandas as pd

        rows = pd.read_csv(path).dropna(subset=["description"])
        parts = [
            (" ".join(words[at : at + 40]), category)
            for text, category in zip(rows["description"], rows["category"], strict=True)
            for words in [text.split()]
            for at in range(0, max(1, len(words) - 20), 40)
        ]
        found["listings"] = ([text for text, _ in parts], [kind for _, kind in parts])
    return found


class Pool:
    """Encoded texts, from which windows are drawn."""

    def __init__(self, texts: Sequence[str], kinds: Sequence[str], encoder: str):
        self.texts = list(texts)
        self.encoder = get_encoder(encoder)
        self.vectors = self.encoder.encode(self.texts)
        # Those of one kind that are alike lie beside one another.
        axis = np.linalg.svd(self.vectors - self.vectors.mean(axis=0), full_matrices=False)[2][0]
        self.order = np.lexsort((self.vectors @ axis, np.asarray(kinds)))

    def independent(self, seed: int) -> bool:
        """Draw two windows of rows, and tell whether there is an alarm."""
        rows = np.random.default_rng(seed).choice(
            len(self.texts), REFERENCE + RECENT, replace=False
        )
        return alarm(self.vectors[rows], np.arange(len(rows)), REFERENCE, seed)

    def clusters(self, seed: int, by_row: bool = False) -> bool:
        """Draw two windows of clusters, and tell whether there is an alarm."""
        starts = np.arange(0, len(self.order) - CLUSTER, CLUSTER)
        old, new = REFERENCE // CLUSTER, RECENT // CLUSTER + 1
        chosen = np.random.default_rng(seed).choice(starts, old + new, replace=False)
        rows = self.order[(chosen[:, None] + np.arange(CLUSTER)).ravel()]
        groups = np.arange(len(rows)) if by_row else np.arange(len(rows)) // CLUSTER
        return alarm(self.vectors[rows], groups, old * CLUSTER, seed)

    def dealers(self, seed: int) -> bool:
        """Draw dealers with rows in both windows, and tell whether there is an alarm."""
        random = np.random.default_rng(seed)
        starts = np.arange(0, len(self.order) - CLUSTER, CLUSTER)
        chosen = random.choice(starts, (REFERENCE + RECENT) // CLUSTER + 1, replace=False)
        place = (chosen[:, None] + np.arange(CLUSTER)).ravel()
        order = random.permutation(len(place))
        return alarm(self.vectors[self.order[place[order]]], order // CLUSTER, REFERENCE, seed)

    def changed(self, seed: int, change: Change) -> bool:
        """Draw two windows of rows, change some texts, and tell whether there is an alarm."""
        rows = np.random.default_rng(seed).choice(
            len(self.texts), REFERENCE + RECENT, replace=False
        )
        vectors = self.vectors[rows]
        choose = random.Random(seed)
        some, told = change
        at = [REFERENCE + n for n in choose.sample(range(RECENT), round(some * RECENT))]
        vectors[at] = self.encoder.encode([told(self.texts[rows[n]], choose) for n in at])
        return alarm(vectors, np.arange(len(rows)), REFERENCE, seed)


def alarm(vectors: np.ndarray, groups: np.ndarray, old: int, seed: int) -> bool:
    recent = np.arange(len(vectors)) >= old
    changes, _ = compare_vectors(vectors, groups, recent, draws=399, seed=seed)
    return min(bonferroni(changes)) < LEVEL


def german(_: str, choose: random.Random) -> str:
    noun, said, where, after = (
        choose.choice(words.replace("\n", " ").split(", ")).strip()
        for words in (NOUNS, SAID, WHERE, AFTER)
    )
    return f"{noun.capitalize()} {where} {said}. {after}."


def misspelt(text: str, choose: random.Random, share: float = 0.5) -> str:
    """Swap two letters of some words."""

    def swap(found: re.Match[str]) -> str:
        word = found[0]
        at = choose.randrange(len(word) - 1)
        changed = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        return changed if choose.random() < share else word

    return re.sub(r"\w{4,}", swap, text)


def cut(text: str, choose: random.Random) -> str:
    return " ".join(text.split()[:4])


Change = tuple[float, Callable[[str, random.Random], str]]
CHANGES: dict[str, Change] = {
    "german": (0.1, german),
    "misspelt": (0.3, misspelt),
    "misspelt_words": (1.0, partial(misspelt, share=0.3)),
    "german_5": (0.05, german),
    "german_2": (0.02, german),
    "misspelt_10": (0.1, misspelt),
    "misspelt_3": (0.03, misspelt),
    "cut_10": (0.1, cut),
}


def big(old: int, new: int) -> tuple[float, float]:
    """Return the seconds that a comparison of so many rows takes, of the clock and of processors.

    Reading is included.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = make_store(folder, BIG_ENCODER)
        rows = np.arange(old + new)
        times = [TIME + timedelta(days=int(row >= old), seconds=int(row % 80_000)) for row in rows]
        columns = {
            "id": [f"row-{row}" for row in rows],
            "text": [f"text {row}" for row in rows],
            "event_timestamp": pa.array(times, pa.timestamp("us", "UTC")),
        }
        (folder / "raw").mkdir()
        pq.write_table(pa.table(columns), folder / "raw" / "rows.parquet", row_group_size=65_536)
        embed(store)
        began = time.perf_counter(), time.process_time()
        found = drift(store, "deep", f"..{TIME:%F}", f"{TIME + timedelta(days=1):%F}..")
        seconds = time.perf_counter() - began[0], time.process_time() - began[1]
        assert found.counts == (old, new)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
