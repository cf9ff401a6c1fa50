"""Does a hundredth night cost what the second did, and is everything still true after it?

Each night the raw table has new rows, changed texts, late events, deleted rows and one row without
an event time; the job embeds it and fills the online store. Some nights it is killed at a random
moment and run again; once the encoder changes and the table is rebuilt, later that is rolled back;
every ten nights the table is compacted. After each night the training frame, the online store and
a plain dictionary must agree in every value, and a process looks rows up all along.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import multiprocessing
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from embed_repo import report, timed

if TYPE_CHECKING:
    from deepfeast.transforms.encoders import Encoder

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
SUMS = "python:deepfeast.transforms.testing:TextSums?dim=2"
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
FIRST, NEW, CHANGED, LATE, DELETED = 2000, 20, 20, 5, 3
CONFIG = """project: nights
registry: registry.db
provider: local
online_store: {type: sqlite, path: online.db}
offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}
batch_engine: {type: deepfeast.pipelines.engine.BeamEngine}
entity_key_serialization_version: 3
"""
Rows = dict[tuple[int, datetime], str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="400 nights instead of 100")
    parser.add_argument("--nights", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--watch", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    hush()
    if arguments.watch:
        return watch(arguments.watch)
    nights = arguments.nights or (400 if arguments.full else 100)
    with tempfile.TemporaryDirectory() as folder:
        return soak(Shop(Path(folder), arguments.seed), nights)


def soak(shop: Shop, nights: int) -> int:
    """Live through the nights; print what came of it."""
    rebuilt, back = round(nights * 0.4), round(nights * 0.7)
    killed = set(shop.choose.sample(range(3, nights), max(1, nights // 8))) - {rebuilt, back}
    seconds: dict[int, float] = {}
    wrong, compacted, died = 0, [], 0
    shop.declare(WORDS)
    shop.open()
    watching = None
    for night in range(1, nights + 1):
        shop.change(night)
        if night == rebuilt:
            shop.declare(SUMS)
        if night == back:
            shop.roll_back()
        if night in killed:
            died += kill(shop)
        began = time.perf_counter()
        run_night(shop.folder, rebuild=night == rebuilt)
        shop.embedded(rebuild=night == rebuilt)
        frame = shop.frame()
        if night not in killed | {rebuilt, back}:
            seconds[night] = time.perf_counter() - began
        told = shop.differences(frame)
        wrong += bool(told)
        for line in told:
            print(f"night {night}: {line}")
        if night == 1:
            watching = subprocess.Popen([sys.executable, __file__, "--watch", shop.folder])
        if night % 10 == 0:
            compacted.append(shop.compact())
    (shop.folder / "stop").touch()
    assert watching is not None
    watching.wait(60)
    compacted_s = timed_frames(shop)
    run_night(shop.folder, rebuild=True)
    fresh_s = timed_frames(shop)
    looked = json.loads((shop.folder / "watched.json").read_text())
    # Medians of five, since one night is as noisy as the machine.
    early, late = ([*seconds][1:6], [*seconds][-5:])
    took = [float(np.median([seconds[night] for night in some])) for some in (early, late)]
    before, after = compacted[-1]
    ratios = {
        "agree": 1 - wrong / nights,
        "files": after / before,
        "slowdown": took[1] / took[0],
    }
    figures: dict[str, object] = {
        "nights": nights,
        "killed": died,
        "early_s": took[0],
        "late_s": took[1],
        "frame_over_fresh": compacted_s / fresh_s,
        "files_at_end": after,
        "files_deleted": sum(one - other for one, other in compacted),
        "keys": len(shop.keys),
        **{f"lookups_{name}": number for name, number in looked.items()},
        "goals_met": [
            *(["agree"] if not wrong else []),
            *(["files"] if after <= 12 else []),
            *(["slowdown"] if took[1] <= 1.2 * took[0] else []),
        ],
    }
    fine = not wrong and not looked["wrong"] and not looked["failed"] and looked["right"] > 0
    return report("nights", ratios, figures, agree=fine)


def timed_frames(shop: Shop) -> float:
    """Return the seconds that a training frame of all keys takes."""
    return float(np.median([timed(shop.frame) for _ in range(7)]))


def hush() -> None:
    """Let nobody speak but us."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)


def title(key: int, variant: int) -> str:
    """Return one of the seven texts of a key."""
    return f"{'x' * (key % 13 + 1)} {'y' * (variant % 7 + 1)}"


class Shop:
    """A repo, and beside it what must be in it, as plain dictionaries.

    Parameters
    ----------
    folder : Path
    seed : int
        Of what happens, and of when the job is killed.
    """

    def __init__(self, folder: Path, seed: int):
        self.folder, self.choose = folder, random.Random(seed)
        self.keys: set[int] = set()
        self.source: Rows = {}
        # By version of the table the rows that runs have put there, and its encoder.
        self.versions: dict[int, Rows] = {}
        self.encoders: dict[int, str] = {}
        self.current = 0
        self.encoder = WORDS
        (folder / "feature_store.yaml").write_text(CONFIG)

    def declare(self, encoder: str) -> None:
        """Apply the view with an encoder."""
        from feast import Entity, FeatureService, FeatureStore, FileSource, ValueType

        from deepfeast.transforms import DeepFeature, deep_feature_view

        self.encoder = encoder
        shirt = Entity(name="shirt", join_keys=["id"], value_type=ValueType.STRING)
        source = FileSource(name="raw", path="raw.parquet", timestamp_field="event_timestamp")
        feature = DeepFeature("vec", column="title", encoder=encoder)
        view = deep_feature_view(name="deep", entities=[shirt], source=source, features=[feature])
        service = FeatureService(name="model", features=[view])
        FeatureStore(str(self.folder)).apply([shirt, source, view, service])

    def open(self) -> None:
        """Fill the shop for its first night."""
        for key in range(FIRST):
            self.keys.add(key)
            self.source[key, START + key % 100 * HOUR] = title(key, 0)

    def change(self, night: int) -> None:
        """Change the raw table as days do, and write it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        at = START + (100 + night) * HOUR
        for key in range(len(self.keys), len(self.keys) + NEW):
            self.source[key, at] = title(key, night)
        self.keys |= {key for key, _ in self.source}
        rows = sorted(self.source)
        for row in self.choose.sample(rows, CHANGED):
            self.source[row] = title(row[0], night)
        for key, _ in self.choose.sample(rows, LATE):
            late = START + self.choose.randrange(100 + night) * HOUR
            self.source[key, late] = title(key, night + 3)
        for row in self.choose.sample(rows, DELETED):
            del self.source[row]
        raw: list[dict[str, Any]] = [
            {"id": str(key), "event_timestamp": when, "title": text}
            for (key, when), text in sorted(self.source.items())
        ]
        raw.append({"id": "timeless", "event_timestamp": None, "title": "never seen"})
        pq.write_table(pa.Table.from_pylist(raw), self.folder / "raw.parquet")

    def embedded(self, rebuild: bool) -> None:
        """Note what the night's run has put into the table."""
        if rebuild or not self.versions:
            self.current = len(self.versions) + 1
            self.versions[self.current] = {}
            self.encoders[self.current] = self.encoder
        self.versions[self.current] |= self.source

    def roll_back(self) -> None:
        """Make the first version current again, and declare its encoder."""
        from deepfeast.transforms.embeddings.versions import rollback

        rollback(self._table(), 1)
        self.current = 1
        self.declare(self.encoders[1])

    def compact(self) -> tuple[int, int]:
        """Compact the table, and sweep up after killed runs; return the files before and after."""
        from deepfeast.transforms.embeddings.compact import compact
        from deepfeast.transforms.embeddings.vacuum import vacuum

        table = self._table()
        folders = [table.path, Path(table.rejects)]

        def count() -> int:
            return sum(path.is_file() for folder in folders for path in folder.rglob("*"))

        before = count()
        compact(table, timedelta(0))
        vacuum(table, keep=timedelta(0))
        return before, count()

    def _table(self) -> Any:
        from feast import FeatureStore

        from deepfeast.transforms.embeddings.table import embedding_table
        from deepfeast.transforms.views import find_deep_view

        store = FeatureStore(str(self.folder))
        return embedding_table(store, find_deep_view(store, "deep")[0])

    def frame(self) -> np.ndarray:
        """Return the training frame of all keys as of now."""
        import pandas as pd
        from feast import FeatureStore

        from deepfeast.transforms import training_frame

        ids = [str(key) for key in sorted(self.keys)]
        labels = pd.DataFrame({"id": ids, "event_timestamp": NOW})
        frame = training_frame(FeatureStore(str(self.folder)), labels, service="model")
        return frame[["vec_000", "vec_001"]].to_numpy()

    def differences(self, offline: np.ndarray) -> list[str]:
        """Compare training, serving and the dictionary; say where they differ."""
        from deepfeast.transforms.lookup import OnlineFeatures

        keys = sorted(self.keys)
        lookup = OnlineFeatures(self.folder, service="model")
        rows = [{"id": str(key)} for key in keys]
        online = lookup.frame(rows, now=NOW)[["vec_000", "vec_001"]].to_numpy()
        expected = self._expected(keys)
        told = []
        for name, found in (("offline", offline), ("online", online)):
            same = (found == expected) | (np.isnan(found) & np.isnan(expected))
            differ = np.flatnonzero(~same.all(axis=1))
            if len(differ):
                told.append(f"{name} differs for {len(differ)} keys, such as {keys[differ[0]]}")
        return told

    def _expected(self, keys: list[int]) -> np.ndarray:
        latest: dict[int, str] = {}
        for (key, _), text in sorted(self.versions[self.current].items()):
            latest[key] = text
        known = [key for key in keys if key in latest]
        vectors = np.full((len(keys), 2), np.nan, np.float32)
        places = np.searchsorted(keys, known)
        vectors[places] = make(self.encoders[self.current]).encode([latest[key] for key in known])
        return vectors


def make(encoder: str) -> Encoder:
    """Build an encoder by its name."""
    from deepfeast.transforms.encoders import get_encoder

    return get_encoder(encoder)


def run_night(folder: Path, rebuild: bool = False) -> None:
    """Embed the view and fill the online store, as a nightly schedule does."""
    from feast import FeatureStore

    from deepfeast.pipelines.embed import embed

    hush()
    store = FeatureStore(str(folder))
    embed(store, "deep", rebuild=rebuild)
    with contextlib.redirect_stdout(io.StringIO()):
        store.materialize_incremental(NOW)


def kill(shop: Shop) -> bool:
    """Begin a night in a process of its own and kill it at a random moment."""
    process = context.Process(target=run_night, args=(shop.folder,))
    process.start()
    process.join(shop.choose.uniform(0.2, 2.5))
    if process.exitcode is None and process.pid:
        process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def watch(folder: Path) -> int:
    """Look rows up until told to stop: each vector must be one that its key has ever had."""
    from deepfeast.transforms.errors import DeepfeastError
    from deepfeast.transforms.lookup import OnlineFeatures

    choose = random.Random(1)
    lookup = OnlineFeatures(folder, service="model")
    encoders = [make(name) for name in (WORDS, SUMS)]
    found = {"right": 0, "wrong": 0, "refused": 0, "failed": 0}
    while not (folder / "stop").exists():
        keys = [choose.randrange(FIRST) for _ in range(20)]
        try:
            frame = lookup.frame([{"id": str(key)} for key in keys], now=NOW)
        except DeepfeastError:
            found["refused"] += 1
        except Exception as error:
            print(f"a lookup failed: {error!r}", file=sys.stderr)
            found["failed"] += 1
        else:
            vectors = frame[["vec_000", "vec_001"]].to_numpy()
            for key, vector in zip(keys, vectors, strict=True):
                texts = [title(key, variant) for variant in range(7)]
                known = np.concatenate([encoder.encode(texts) for encoder in encoders])
                fine = np.isnan(vector).all() or (known == vector).all(axis=1).any()
                found["right" if fine else "wrong"] += 1
        time.sleep(0.1)
    (folder / "watched.json").write_text(json.dumps(found))
    return 0


context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["feast", "deepfeast.pipelines.embed.run", "deltalake", "duckdb"])

if __name__ == "__main__":
    sys.exit(main())
