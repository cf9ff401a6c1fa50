"""What does the embed job cost beyond the encoder itself, and beside what people use today?

The bare encoder, the job, Beam's MLTransform (with its defaults and tuned) and a script of
pandas and sentence-transformers embed the same texts, turn by turn in one process, from Parquet
to a table on disk (the bare encoder: from a list to an array). Then the job with an encoder
that costs almost nothing, to see the job alone.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from _rounds import in_turn, spread
from embed_repo import embed, forget, make_store, report, texts, timed, vectors, write_raw

if TYPE_CHECKING:
    from feast import FeatureStore

    from deepfeast.transforms.encoders import Encoder

FAKE = "python:deepfeast.transforms.testing:TextSums?dim=384"
GOALS = {"encoder_share": 0.9}
FAKE_GOAL = 40_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="20,000 rows instead of 1,200")
    parser.add_argument("--rows", type=int, help="how many")
    parser.add_argument("--fake-rows", type=int, default=100_000, help="for the fake encoder")
    parser.add_argument("--words", type=int, default=40, help="mean length of a text")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    rows = arguments.rows or (20_000 if arguments.full else 1_200)
    with tempfile.TemporaryDirectory() as folder:
        values = texts(rows, arguments.words)
        taken, cosine = against_peers(Path(folder) / "real", values, arguments.rounds)
        fake = fake_rate(Path(folder) / "fake", texts(arguments.fake_rows, 15))
    times = {name: statistics.median(rounds) for name, rounds in taken.items()}
    ours = times["deepfeast"]
    ratios = {
        "encoder_share": times["encoder"] / ours,
        "mltransform": times["mltransform"] / ours,
        "mltransform_tuned": times["mltransform_tuned"] / ours,
        "script": times["script"] / ours,
    }
    figures = {
        "rows": rows,
        "fake_rows": arguments.fake_rows,
        "fake_rows_per_s": fake,
        "cosine": cosine,
        **{f"{name}_rows_per_s": rows / seconds for name, seconds in times.items()},
        "goals_met": [name for name, goal in GOALS.items() if ratios[name] >= goal]
        + (["fake_rows_per_s"] if fake >= FAKE_GOAL else []),
    }
    more = {
        "data": f"{rows:,} distinct generated texts of {arguments.words} words in the mean",
        "spread": {
            peer: spread(taken[peer], taken["deepfeast"])
            for peer in ("mltransform", "mltransform_tuned", "script")
        },
    }
    return report("embed_job", ratios, figures, agree=cosine >= 0.999, more=more)


def against_peers(folder: Path, values: list[str], rounds: int) -> tuple[dict, float]:
    """Time everybody on the same texts; return all times, and the smallest cosine to ours."""
    from sentence_transformers import SentenceTransformer

    from deepfeast.transforms.encoders import get_encoder
    from deepfeast.transforms.encoders.text.encoder import TextEncoder

    encoder = get_encoder("minilm")
    assert isinstance(encoder, TextEncoder)
    store = make_store(folder, "minilm")
    warm_up(folder, store, encoder)
    write_raw(folder, values)
    raw, model = folder / "raw" / "000000000.parquet", str(encoder.folder)
    sentences = SentenceTransformer(model, device="cpu")

    def job() -> None:
        forget(folder)
        embed(store)

    contenders = {
        "encoder": lambda: encoder.encode(values),
        "deepfeast": job,
        "script": lambda: script(raw, sentences, folder / "script.parquet"),
    }
    # They take longest: on no more rows than they need for a rate.
    few = values[:2_000]
    write_raw(folder / "few", few)
    few_raw = folder / "few" / "raw" / "000000000.parquet"
    peers: dict[str, dict[str, int]] = {"mltransform": {}, "mltransform_tuned": TUNED}
    for name, sizes in peers.items():
        contenders[name] = functools.partial(mltransform, few_raw, model, folder / name, **sizes)
    times = in_turn(contenders, rounds)
    for name in peers:
        times[name] = [seconds * len(values) / len(few) for seconds in times[name]]
    ours = vectors(folder)
    found = [read_script(folder / "script.parquet"), *(read_beam(folder, name) for name in peers)]
    return times, min(smallest_cosine(ours[: len(theirs)], theirs) for theirs in found)


TUNED = {"min_batch_size": 256, "max_batch_size": 256}


def warm_up(folder: Path, store: FeatureStore, encoder: Encoder) -> None:
    """Load the network and the libraries, as a worker has them after its first batch."""
    write_raw(folder, ["a first text"])
    embed(store)
    encoder.encode(["a first text"])


def script(raw: Path, sentences: Any, out: Path) -> None:
    """Embed with pandas and sentence-transformers, as a notebook would."""
    import pandas as pd

    frame = pd.read_parquet(raw)
    frame["vec"] = list(sentences.encode(frame["text"].tolist()))
    frame.to_parquet(out)


def mltransform(raw: Path, model: str, out: Path, **batches: Any) -> None:
    """Embed with Beam's MLTransform, from Parquet to Parquet."""
    import apache_beam as beam
    import pyarrow as pa
    from apache_beam.ml.transforms.base import MLTransform
    from apache_beam.ml.transforms.embeddings.huggingface import SentenceTransformerEmbeddings

    schema = pa.schema([("id", pa.string()), ("text", pa.list_(pa.float32()))])
    embedding = SentenceTransformerEmbeddings(model_name=model, columns=["text"], **batches)
    with tempfile.TemporaryDirectory() as artifacts, beam.Pipeline(runner="FnApiRunner") as run:
        _ = (
            run
            | beam.io.ReadFromParquet(str(raw), columns=["id", "text"])
            | MLTransform(write_artifact_location=artifacts).with_transform(embedding)
            | beam.Map(lambda row: row if isinstance(row, dict) else row._asdict())
            | beam.io.WriteToParquet(str(out), schema)
        )


def read_script(path: Path) -> np.ndarray:
    import pandas as pd

    return np.stack(pd.read_parquet(path)["vec"].to_numpy())


def read_beam(folder: Path, name: str) -> np.ndarray:
    """Return the vectors that MLTransform wrote, in the order of the keys' numbers."""
    import pandas as pd

    rows = pd.concat(pd.read_parquet(part) for part in folder.glob(f"{name}-*"))
    rows.index = rows["id"].str.removeprefix("row-").astype(int)
    return np.stack(rows.sort_index()["text"].to_numpy())


def smallest_cosine(a: np.ndarray, b: np.ndarray) -> float:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).min())


def fake_rate(folder: Path, values: list[str], rounds: int = 3) -> float:
    """Return the rows a second of the job alone."""
    store = make_store(folder, FAKE)
    write_raw(folder, values)
    seconds = []
    for _ in range(rounds):
        forget(folder)
        seconds.append(timed(lambda: embed(store)))
    return len(values) / statistics.median(seconds)


if __name__ == "__main__":
    sys.exit(main())
