"""How fast is a vision folder from Python on this processor, decoding included?

Against `transformers`' own image-feature-extraction pipeline on the same JPEGs in the same
process, turn by turn. Both decode, resize, and run the network. `large` is the same of photos
of 12 megapixels, as phones take them: the listings' photos enlarged, with a sensor's noise.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from _rounds import in_turn, spread

from deepfeast.transforms.cores import cores
from deepfeast.transforms.encoders import get_encoder
from deepfeast.transforms.encoders.machine import smallest_cosine

ROOT = Path(__file__).resolve().parent.parent
GOALS = {"pipeline": 6.0, "cosine": 0.9999, "large": 6.0, "large_cosine": 0.999}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="1,000 photos, five rounds")
    parser.add_argument("--photos", type=int, default=240)
    arguments = parser.parse_args()
    count, rounds = (1000, 5) if arguments.full else (arguments.photos, 3)
    shared = Path(os.environ.get("DEEPFEAST_SHARED", ROOT.parent / "shared"))
    with tempfile.TemporaryDirectory() as made:
        folder = network_folder(shared, Path(made))
        photos = listing_photos(shared, count)
        encoder = get_encoder(f"hf:{folder}")
        peer = pipeline(folder)
        load = timed(lambda: encoder.encode(photos[:8]))
        peer(photos[:8])

        times = beside(rounds, lambda: encoder.encode(photos), lambda: peer(photos))
        cosine = smallest_cosine(peer(photos), encoder.encode(photos))
        decoding = timed(lambda: [encoder.prepare(photo) for photo in photos[:50]]) / 50

        large = [enlarged(photo) for photo in photos[:8]]
        times_large = beside(3, lambda: encoder.encode(large), lambda: peer(large))
        large_cosine = smallest_cosine(peer(large), encoder.encode(large))

    ours, theirs = map(statistics.median, times.values())
    our_large, their_large = map(statistics.median, times_large.values())
    ratios = {
        "pipeline": theirs / ours,
        "cosine": cosine,
        "large": their_large / our_large,
        "large_cosine": large_cosine,
    }
    figures = {
        "photos": len(photos),
        "photos_per_s": len(photos) / ours,
        "peer_photos_per_s": len(photos) / theirs,
        "decode_ms_one_core": decoding * 1e3,
        "large_photos_per_s": len(large) / our_large,
        "large_mb_each": sum(map(len, large)) / len(large) / 1e6,
        "load_s": load,
        "engine": encoder.info["engine"],
        "cores": cores(),
        "goals_met": [name for name, goal in GOALS.items() if ratios[name] >= goal],
    }
    agree = all(ratios[name] >= GOALS[name] for name in ("cosine", "large_cosine"))
    more = {
        "data": f"{len(photos)} photos of 240 pixels on the short side, {len(large)} of 3,000",
        "spread": {
            "pipeline": spread(times["theirs"], times["ours"]),
            "large": spread(times_large["theirs"], times_large["ours"]),
        },
    }
    return report(ratios, figures, more, agree)


def network_folder(shared: Path, made: Path) -> Path:
    """Return the shared MobileNetV2, or one of the same shape with random weights."""
    folder = shared / "models" / "mobilenet_v2"
    if folder.is_dir():
        return folder
    import torch
    from transformers import MobileNetV2Config, MobileNetV2ImageProcessor, MobileNetV2Model

    torch.manual_seed(0)
    model = MobileNetV2Model(MobileNetV2Config()).eval()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):  # activations keep their size through the depth
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    model.save_pretrained(made)
    MobileNetV2ImageProcessor().save_pretrained(made)
    return made


def listing_photos(shared: Path, count: int) -> list[bytes]:
    """Return JPEGs of 240 pixels on the short side: the shared listings', or generated."""
    files = sorted((shared / "data" / "listings" / "photos").glob("*"))[:count]
    if files:
        return [file.read_bytes() for file in files]
    from PIL import Image

    random = np.random.default_rng(0)
    photos = []
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((320, 240)), dtype=np.float32)
        noisy = np.clip(smooth + random.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(noisy).save(file, "JPEG", quality=85)
        photos.append(file.getvalue())
    return photos


def pipeline(folder: Path) -> Callable[[list[bytes]], np.ndarray]:
    """Open the folder with the pipeline, asked for the pooled output; bytes to (n, dim)."""
    import transformers
    from PIL import Image

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    extract: Any = transformers.pipeline(
        "image-feature-extraction", model=str(folder), device="cpu", pool=True
    )

    def encode(photos: list[bytes]) -> np.ndarray:
        found = extract([Image.open(io.BytesIO(photo)) for photo in photos])
        return np.stack([np.asarray(vector, dtype=np.float32).reshape(-1) for vector in found])

    return encode


def enlarged(photo: bytes) -> bytes:
    """Make a JPEG of 3,000 pixels on the short side, grainy as a sensor's picture is."""
    from PIL import Image

    image = Image.open(io.BytesIO(photo)).convert("RGB")
    scale = 3000 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), 3)
    grain = np.random.default_rng(0).normal(0, 4, (image.height, image.width, 1))
    pixels = np.clip(np.asarray(image, np.float32) + grain, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    return file.getvalue()


def beside(
    rounds: int, ours: Callable[[], object], theirs: Callable[[], object]
) -> dict[str, list[float]]:
    """Time both turn by turn."""
    return in_turn({"ours": ours, "theirs": theirs}, rounds)


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def report(ratios: dict[str, float], figures: dict, more: dict, agree: bool) -> int:
    for name, value in {**ratios, **figures}.items():
        print(f"{name:22} {value:,.4g}" if isinstance(value, float) else f"{name:22} {value}")
    packages = ("torch", "transformers", "onnxruntime", "onnx", "pillow", "numpy")
    result = {
        "benchmark": "image_encoding",
        "ratios": ratios,
        "agree": agree,
        "figures": figures,
        "versions": {name: version(name) for name in packages},
        **more,
    }
    print("RESULT", json.dumps(result, default=float))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
