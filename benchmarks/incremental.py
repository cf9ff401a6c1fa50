"""What does a rerun cost when little has changed, or nothing?

The job runs on the whole source, again with nothing changed, and again with one row in a hundred
changed; the vectors must be those of a full run on the changed source.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from embed_repo import embed, forget, make_store, report, texts, write_raw

if TYPE_CHECKING:
    from feast import FeatureStore

    from deepfeast.pipelines.embed import Run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="texts of 40 words, not of 4")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--encoder", default="minilm")
    arguments = parser.parse_args()
    values = texts(arguments.rows, 40 if arguments.full else 4)
    news = [f"{value} renewed" if n % 100 == 0 else value for n, value in enumerate(values)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = make_store(folder, arguments.encoder)
        write_raw(folder, ["a first text"])
        embed(store)
        forget(folder)
        write_raw(folder, values)
        full, full_s = run(store)
        same, same_s = run(store)
        write_raw(folder, news)
        changed, changed_s = run(store)
        agree = correct(folder, store, values, news)
    work = changed.encoded / full.encoded
    ratios = {"full_over_rerun": full_s / changed_s, "unchanged": full_s / same_s}
    figures = {
        "rows": arguments.rows,
        "encoder_work": work,
        "full_s": full_s,
        "changed_s": changed_s,
        "unchanged_s": same_s,
        "unchanged_committed": same.version is not None,
        "goals_met": [
            *(["full_over_rerun"] if changed_s <= 0.2 * full_s else []),
            *(["encoder_work"] if work <= 0.05 else []),
            *(["unchanged"] if same.version is None else []),
        ],
    }
    return report("incremental", ratios, figures, agree=agree and same.version is None)


def run(store: FeatureStore) -> tuple[Run, float]:
    """Run the job; return what it did and the seconds it took."""
    start = time.perf_counter()
    done = embed(store)
    return done, time.perf_counter() - start


def correct(folder: Path, store: FeatureStore, values: list[str], news: list[str]) -> bool:
    """Tell whether the changed rows have the vectors that the encoder gives their new texts."""
    from deltalake import DeltaTable

    from deepfeast.transforms.arrow import vectors_to_matrix
    from deepfeast.transforms.encoders import build_encoder
    from deepfeast.transforms.views import find_deep_view

    table = DeltaTable(str(folder / "data" / "embeddings" / "deep")).to_pyarrow_table()
    created = table["created_timestamp"].to_numpy()
    late = np.flatnonzero(created == created.max())
    numbers = [int(key[4:]) for key in table["id"].take(late).to_pylist()]
    if sorted(numbers) != list(range(0, len(values), 100)):
        return False
    found = vectors_to_matrix(table["vec"].take(late))[:64]
    encoder = build_encoder(find_deep_view(store, "deep")[1].features[0])
    expected = encoder.encode([news[number] for number in numbers[:64]])
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return len(table) == len(values) + len(late) and bool(
        ((found * expected).sum(axis=1) / norms).min() >= 0.999
    )


if __name__ == "__main__":
    sys.exit(main())
