"""How good are the features of ``image-tiny``, on photos and pictures it never learnt from?

Category of a listing from its photo_a by a logistic probe, five folds grouped by room,
against the teacher, handcrafted histograms and the untrained network. A quarter of the
rooms was kept out of the distillation: `accuracy` counts only their photos, and
`accuracy_seen` all photos. Then kinds of pictures kept out of the distillation: drawn
landscapes (attributes by ridge regression), where scikit-image is installed small crops
of its photographs (which photograph is it?), and the generated marketplace (what XGBoost
gains in R² of the log price). Last, how much faster than the teacher the network runs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _image_sets import handcrafted, landscape, small_crop
from _tables import sales_as_of
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
Features = Callable[[list[Image.Image]], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, help="other weights of image-tiny to judge")
    parser.add_argument("--full", action="store_true", help="more pictures, more repeats")
    parser.add_argument("--write-kept-out", type=Path, metavar="FILE", help="list those photos")
    arguments = parser.parse_args()
    shared = Path(os.environ.get("DEEPFEAST_SHARED", ROOT.parent / "shared"))
    if not (shared / "data/listings/listings.csv").is_file():
        sys.exit(f"no shared listings at {shared}: set DEEPFEAST_SHARED to their folder")
    rows = pd.read_csv(shared / "data/listings/listings.csv")
    if arguments.write_kept_out:
        kept = rows[kept_out(rows["room"])]
        names = pd.concat([kept["photo_a"], kept["photo_b"]]).dropna().map(lambda p: Path(p).name)
        arguments.write_kept_out.write_text("\n".join(names) + "\n")
        return
    began = time.perf_counter()
    networks = encoders(shared / "models/mobilenet_v2", arguments.weights)
    repeats, size = (10, 1500) if arguments.full else (3, 500)
    listings = judge_listings(rows, shared / "data/listings", networks, repeats)
    del networks["handcrafted"]
    figures = {
        "landscapes_r2": judge_landscapes(networks, size),
        "skimage_crops": judge_crops(networks, size),
        "marketplace_lift": judge_marketplace(networks, 2400 if arguments.full else 1200),
        "speed": judge_speed(shared / "models/mobilenet_v2"),
        **listings.pop("figures"),
    }
    for name, scores in {"listings": listings, **figures}.items():
        print(f"{name:16}", scores)
    result = {"benchmark": "image_quality", "ratios": {}, "agree": True, **listings}
    result["figures"] = figures | {"seconds": round(time.perf_counter() - began)}
    result["versions"] = {n: version(n) for n in ("torch", "transformers", "scikit-learn")}
    result["versions"]["python"] = platform.python_version()
    print("RESULT " + json.dumps(result))


def kept_out(rooms: pd.Series) -> np.ndarray:
    """Mark the rooms whose photos the distillation never saw: by hash, about a quarter."""
    digests = (hashlib.sha256(str(room).encode()).hexdigest() for room in rooms)
    return np.array([int(digest, 16) % 4 == 0 for digest in digests])


def encoders(teacher: Path, weights: Path | None) -> dict[str, Features]:
    """Name each way to turn pictures into features."""
    from deepfeast.transforms.encoders.image import tiny

    student = tiny.network() if weights else tiny.trained_network()
    if weights:
        from safetensors.torch import load_file

        student.load_state_dict({k: v.float() for k, v in load_file(str(weights)).items()})
    spread = (tiny.MEAN[0], tiny.STD[0])
    return {
        "image_tiny": _network(student.eval(), tiny.RESIZE, tiny.SIZE, *spread),
        "untrained": _network(tiny.untrained_network(), tiny.RESIZE, tiny.SIZE, *spread),
        "teacher": _network(_mobilenet(teacher), 256, 224, 0.5, 0.5),
        "handcrafted": handcrafted,
    }


def judge_listings(
    rows: pd.DataFrame, folder: Path, networks: dict[str, Features], repeats: int
) -> dict:
    """Probe the category; and how much of the teacher's activations the student's explain."""
    rows = rows[rows["photo_a"].notna()].reset_index(drop=True)
    photos = [Image.open(folder / path).convert("RGB") for path in rows["photo_a"]]
    unseen, features = kept_out(rows["room"]), {n: f(photos) for n, f in networks.items()}
    hits = {
        name: _hits(values, rows["category"].to_numpy(), rows["room"].to_numpy(), repeats)
        for name, values in features.items()
    }
    scores: dict[str, Any] = {name: round(float(hit.mean()), 3) for name, hit in hits.items()}
    scores["accuracy_seen"] = scores.pop("image_tiny")
    on_unseen = {name: round(float(hit[unseen].mean()), 3) for name, hit in hits.items()}
    scores["accuracy"] = on_unseen["image_tiny"]
    explained = _explained(features["image_tiny"], features["teacher"], ~unseen, unseen)
    untrained = _explained(features["untrained"], features["teacher"], ~unseen, unseen)
    scores["figures"] = {
        "kept_out_rows": int(unseen.sum()),
        "kept_out_accuracy": on_unseen,
        "teacher_explained": {"image_tiny": explained, "untrained": untrained},
    }
    return scores


def judge_landscapes(networks: dict[str, Features], size: int) -> dict[str, float]:
    """Mean R² of four drawn attributes, by ridge regression on half of the pictures."""
    rng = np.random.default_rng(7)
    pictures, truth = zip(*(landscape(rng) for _ in range(size)), strict=True)
    return {n: _ridge(f(list(pictures)), np.array(truth)) for n, f in networks.items()}


def judge_crops(networks: dict[str, Features], size: int) -> dict[str, float] | None:
    """Accuracy of naming the photograph that a small crop, recoloured, was taken from."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        return None
    names = "astronaut brick camera cell chelsea coffee coins grass gravel hubble_deep_field"
    names += " ihc moon page retina rocket"
    # Read as files: nothing of the package needs to run.
    files = {file.stem: file for file in (Path(package.origin).parent / "data").iterdir()}
    photos = [Image.open(files[name]).convert("RGB") for name in names.split()]
    rng = np.random.default_rng(8)
    labels = rng.integers(0, len(photos), size * 2)
    crops = [small_crop(rng, photos[label]) for label in labels]
    return {n: _probe_half(f(crops), labels) for n, f in networks.items()}


def judge_marketplace(networks: dict[str, Features], listings: int) -> dict[str, float]:
    """Lift in R² of the log price from the photo as of the sale, in 30 principal components.

    Five folds grouped by seller; missing and damaged photos have no vector.
    """
    with tempfile.TemporaryDirectory() as folder:
        sales = sales_as_of(Path(folder), listings)
        photos = [_photo(Path(folder) / path if path else None) for path in sales["photo"]]
    raw = ["listing_id", "event_timestamp", "seller_id", "price", "title", "description", "photo"]
    columns = sales.drop(columns=raw)
    columns["category_code"] = columns["category_code"].astype("category").cat.codes
    table, target = columns.to_numpy(np.float32), np.log(sales["price"].to_numpy())
    alone = _grouped_r2(table, None, target, sales["seller_id"].to_numpy())
    there = np.array([photo is not None for photo in photos])
    lifts = {}
    for name, features in networks.items():
        found = features([photo for photo in photos if photo is not None])
        values = np.full((len(photos), found.shape[1]), np.nan, np.float32)
        values[there] = found
        r2 = _grouped_r2(table, values, target, sales["seller_id"].to_numpy())
        lifts[name] = round(r2 - alone, 3)
    return {"sales": len(sales), "handcrafted_r2": round(alone, 3), **lifts}


def judge_speed(teacher: Path, pictures: int = 96, rounds: int = 7) -> dict[str, float]:
    """Pictures per second through the engine that users get, decoded before, in turns."""
    from deepfeast.transforms.encoders import get_encoder

    rng = np.random.default_rng(9)
    rates: dict[str, list[float]] = {"image_tiny": [], "teacher": []}
    photos = [landscape(rng)[0] for _ in range(pictures)]
    runs = []
    for spec in ("image-tiny", f"hf:{teacher}"):
        encoder = get_encoder(spec)
        encoder.encode(photos[:8])
        prepared = [encoder.prepare(photo) for photo in photos]
        runs.append((encoder, [prepared[i : i + 4] for i in range(0, pictures, 4)]))
    for _ in range(rounds):
        for (encoder, batches), taken in zip(runs, rates.values(), strict=True):
            began = time.perf_counter()
            for batch in batches:
                encoder.encode_batch(batch)
            taken.append(pictures / (time.perf_counter() - began))
    ratio = np.median(np.array(rates["image_tiny"]) / rates["teacher"])
    medians = {name: round(float(np.median(taken))) for name, taken in rates.items()}
    return {**medians, "ratio": round(float(ratio), 2)}


def _photo(path: Path | None) -> Image.Image | None:
    from deepfeast.transforms.errors import Reject
    from deepfeast.transforms.images import decode

    if path is None:
        return None
    try:
        return decode(path.read_bytes())
    except Reject:
        return None


def _grouped_r2(
    table: np.ndarray, vectors: np.ndarray | None, target: np.ndarray, groups: np.ndarray
) -> float:
    """Mean R² of XGBoost over five folds; the components are fitted within each."""
    from sklearn.decomposition import PCA
    from sklearn.model_selection import GroupKFold

    from deepfeast.pipelines.lift.ask.models import make_model

    scores = []
    for fit, test in GroupKFold(5).split(table, target, groups):
        parts = [table]
        if vectors is not None:
            known = vectors[fit][~np.isnan(vectors[fit]).any(1)]
            reduced = PCA(30, random_state=0).fit(known)
            parts.append((vectors - reduced.mean_) @ reduced.components_.T)
        columns = pd.DataFrame(np.concatenate(parts, 1)).add_prefix("column_")
        model = make_model("xgboost", classify=False).fit(columns.iloc[fit], target[fit])
        scores.append(model.score(columns.iloc[test], target[test]))
    return float(np.mean(scores))


def _network(network: Any, resize: int, crop: int, mean: float, std: float) -> Features:
    import torch

    network = network.to(memory_format=torch.channels_last)

    def features(pictures: list[Image.Image]) -> np.ndarray:
        made = []
        # Small batches stay in the processor's cache.
        for start in range(0, len(pictures), 8):
            pixels = np.stack([_square(p, resize, crop) for p in pictures[start : start + 8]])
            scaled = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
            with torch.inference_mode():
                made.append(network(scaled).numpy())
        return np.concatenate(made)

    return features


def _mobilenet(folder: Path) -> Any:
    from torch import nn
    from transformers import MobileNetV2Model

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = MobileNetV2Model.from_pretrained(folder)

        def forward(self, pixels: Any) -> Any:
            return self.model(pixels).pooler_output

    return Pooled().eval()


def _square(picture: Image.Image, resize: int, crop: int) -> np.ndarray:
    """Resize the shortest side, keep the centre square."""
    scale = resize / min(picture.size)
    wide, tall = (max(crop, round(side * scale)) for side in picture.size)
    small = picture.resize((wide, tall), Image.Resampling.BILINEAR)
    left, top = (wide - crop) // 2, (tall - crop) // 2
    return np.asarray(small.crop((left, top, left + crop, top + crop)))


def _probe() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300))


def _hits(values: np.ndarray, target: np.ndarray, groups: np.ndarray, repeats: int) -> np.ndarray:
    """Share of repeats in which each row was named rightly by a probe of the other folds."""
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    hits = [
        cross_val_predict(
            _probe(),
            values,
            target,
            groups=groups,
            cv=StratifiedGroupKFold(5, shuffle=True, random_state=seed),
        )
        == target
        for seed in range(repeats)
    ]
    return np.mean(hits, axis=0)


def _probe_half(values: np.ndarray, labels: np.ndarray) -> float:
    half = len(labels) // 2
    probe = _probe().fit(values[:half], labels[:half])
    return round(float(probe.score(values[half:], labels[half:])), 3)


def _ridge(values: np.ndarray, truth: np.ndarray) -> float:
    half = np.arange(len(values)) < len(values) // 2
    return _explained(values, truth, half, ~half)


def _explained(values: np.ndarray, truth: np.ndarray, fit: np.ndarray, test: np.ndarray) -> float:
    """R² on the rows `test`, mean over columns weighted by variance."""
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import r2_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    spread = truth[fit].std(0) > 1e-6
    aims = StandardScaler().fit(truth[fit][:, spread])
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 5, 11)))
    model.fit(values[fit], aims.transform(truth[fit][:, spread]))
    guess = model.predict(values[test])
    aim = aims.transform(truth[test][:, spread])
    return round(float(r2_score(aim, guess, multioutput="variance_weighted")), 3)


if __name__ == "__main__":
    main()
