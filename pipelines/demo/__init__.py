"""The main job from end to end: declare, embed, join, compare, materialize, look up.

Everything it runs is what a user runs, on data that are generated here (or on a folder of real
listings), and each step says how long it took.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.start.run import apply_here, bring_online
from deepfeast.pipelines.terminal import open_repo, print_run, shown
from deepfeast.transforms.errors import DeepfeastError, SpecError

if TYPE_CHECKING:
    from feast import FeatureStore

    from deepfeast.pipelines.lift import Comparison

SERVICE = "price_model"
VIEW = "listing_deep"
PHOTO = "photo_vec"
MARK = "written by deepfeast demo"


@dataclass(frozen=True)
class Dataset:
    """Labels to learn from: their file, the target and what folds are grouped by."""

    labels: Path
    target: str
    groups: str


def run_demo(
    out: Path, listings: int, seed: int, folder: Path | None, images: str | None
) -> Comparison:
    """Run the main job, and print what happened.

    Parameters
    ----------
    out : Path
        Folder of the demonstration; an earlier one there is replaced.
    listings : int
        How many to generate.
    seed : int
    folder : Path, optional
        With ``listings.csv`` and photos: real rows instead of generated ones.
    images : str, optional
        Encoder of the photos, in place of the declared one.

    Returns
    -------
    Comparison
        Of the models with and without deep features.
    """
    started = time.monotonic()
    repo = _make_room(out)
    if images:
        os.environ["DEEPFEAST_IMAGE_ENCODER"] = images
    data = _real(folder, repo) if folder else _generated(repo, listings, seed)
    with step("feast apply"):
        apply_here(repo)
    store = _embed(repo)
    frame = _join(store, data)
    comparison = _compare(store, frame, data)
    with step("feast materialize, into SQLite"):
        bring_online(store)
    _look_up(store, frame)
    _farewell(repo, data, time.monotonic() - started)
    return comparison


def _make_room(out: Path) -> Path:
    """Empty the demonstration's folder, and no other."""
    if out.exists() and any(out.iterdir()) and not (out / MARK.replace(" ", "-")).exists():
        raise SpecError(
            f"{out.resolve()} is not empty and no earlier demonstration: name another folder."
        )
    shutil.rmtree(out, ignore_errors=True)
    (out / "feature_repo").mkdir(parents=True)
    (out / MARK.replace(" ", "-")).touch()
    return out / "feature_repo"


def _generated(repo: Path, listings: int, seed: int) -> Dataset:
    from deepfeast.pipelines.demo.market import write_marketplace

    with step("generate a marketplace") as say:
        for path in sorted(template().glob("*.[py]*")):
            shutil.copy(path, repo / path.name)
        market = write_marketplace(repo / "data", listings=listings, seed=seed)
        say(
            f"{market.n_listings:,} listings of made-up furniture, {market.n_rows:,} rows with "
            f"edits, {market.n_photos:,} photos, {market.n_labels:,} sales"
        )
    return Dataset(market.labels, "price", "seller_id")


def template() -> Path:
    """Return the folder of the Feast repo that comes with deepfeast."""
    import importlib.util

    spec = importlib.util.find_spec("deepfeast.feature_repo")
    assert spec is not None
    return Path(next(iter(spec.submodule_search_locations or [])))


def _real(folder: Path, repo: Path) -> Dataset:
    from deepfeast.pipelines.demo.listings import write_listings

    with step(f"read {folder}") as say:
        written = write_listings(folder, repo)
        say(
            f"{written.n_listings:,} listings, {written.n_photos:,} photos. There is no event time "
            f"in the source: row i gets 2024-01-01 plus i hours, its label a day later"
        )
    return Dataset(written.labels, "price_night", "room")


def _embed(repo: Path) -> FeatureStore:
    from deepfeast.pipelines.embed import embed

    store = open_repo(repo)
    with step("deepfeast embed"):
        with shown(VIEW) as progress:
            run = embed(store, VIEW, progress=progress)
        print_run(run)
    with step("deepfeast embed, once more"):
        print_run(embed(store, VIEW))
    return store


def _join(store: FeatureStore, data: Dataset) -> Any:
    import pandas as pd

    from deepfeast.transforms import training_frame

    labels = pd.read_parquet(data.labels)
    with step("join features to labels, as of each label's time") as say:
        frame = training_frame(store, labels, service=SERVICE)
        say(
            f"{len(frame):,} rows × {frame.shape[1]:,} columns, float32 vectors beside the old ones"
        )
    return frame


def _compare(store: FeatureStore, frame: Any, data: Dataset) -> Comparison:
    from deepfeast.pipelines.lift import show

    with step(f"train with and without: log({data.target}), folds grouped by {data.groups}"):
        with shown("compare", share=True) as progress:
            comparison = compare_models(
                store, frame, data, lambda what, done, total: progress("fit", done, total)
            )
        show(comparison)
    return comparison


def compare_models(
    store: FeatureStore, frame: Any, data: Dataset, progress: Any = None
) -> Comparison:
    """Score XGBoost and a random forest with and without the texts and the photo."""
    from deepfeast.pipelines.lift import compare
    from deepfeast.transforms.columns import service_columns

    columns = service_columns(store, SERVICE)
    # What a person asks: do the texts help, does the photo?
    groups = {
        "texts": [name for c in columns if c.dim and c.feature != PHOTO for name in c.columns],
        "photo": [name for c in columns if c.feature == PHOTO for name in c.columns],
    }
    return compare(
        frame,
        data.target,
        data.groups,
        feature_groups=groups,
        handcrafted=[c.name for c in columns if not c.dim],
        log_target=True,
        representations=("columns",),
        repeats=2,
        alone=False,
        progress=progress and (lambda what, done, total: progress("Fit", done, total)),
    )


def _look_up(store: FeatureStore, frame: Any) -> None:
    from deepfeast.transforms import OnlineFeatures

    online = OnlineFeatures(store, SERVICE)
    rows = [{"listing_id": key} for key in frame["listing_id"].head(100)]
    online.frame(rows[:1])
    with step("look 100 listings up online") as say:
        served = online.frame(rows)
        trained = [column for column in frame.columns if column in set(served.columns)]
        if list(served.columns) != trained:
            raise DeepfeastError("the lookup's columns differ from the training frame's")
        say(f"{served.shape[1]:,} columns, the training frame's, in its order")


def _farewell(repo: Path, data: Dataset, seconds: float) -> None:
    command = "deepfeast" if shutil.which("deepfeast") else sys.argv[0]
    where = f"--repo {repo}"
    ask = f"--service {SERVICE} --target {data.target} --groups {data.groups} --log-target"
    for line in (
        f"\nDone in {seconds:.0f} s. Where to look:",
        f"  {repo}/*.py",
        "      the declarations",
        f"  {command} runs {VIEW} {where}",
        "      what each run did",
        f"  {command} rejects {VIEW} {where}",
        "      what could not be encoded, and why",
        f"  {command} lift {data.labels} {where} {ask}",
        "      the whole verdict, as a page to look at",
        "The texts went through text-tiny, a table of words that comes with deepfeast. The network",
        'it was distilled from, encoder="minilm", may bring a tenth more and takes 200 times as',
        "long: name it in the declarations, and run deepfeast embed --rebuild.",
    ):
        print(line)


@contextmanager
def step(title: str) -> Iterator[Any]:
    """Announce a step, and say how long it took."""
    print(f"\n── {title}", flush=True)
    started = time.monotonic()
    yield lambda text: print(f"   {text}")
    print(f"   {time.monotonic() - started:.1f} s", flush=True)
