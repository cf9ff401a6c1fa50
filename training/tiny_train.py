r"""Train ``image-tiny`` by distillation: label pictures with a teacher, then fit to it.

Example, an afternoon on two cores, from the root of the repository:

  python training/tiny_train.py label --photos ../shared/data/listings/photos --shards 40 \
    --teacher ../shared/models/mobilenet_v2 --cache /tmp/tiny
  torchrun --standalone --nproc-per-node 2 training/tiny_train.py fit --cache /tmp/tiny

Without ``torchrun`` the second command trains in one process. Both carry on where they
stopped. ``label`` may run in several processes at once, and beside ``fit``, which picks up
new shards as they come.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    """Read the command line and run ``label`` or ``fit``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    label = commands.add_parser("label", help="draw pictures and label them with the teacher")
    label.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    label.add_argument("--keep-out", type=Path, help="file with names of photos never to be used")
    label.add_argument("--teacher", type=Path, required=True, help="MobileNetV2 folder")
    label.add_argument("--cache", type=Path, required=True, help="folder for the shards")
    label.add_argument("--shards", type=int, default=40, help="2,048 pictures each")
    label.add_argument("--threads", type=int, default=1)
    label.set_defaults(run=_label)
    fit = commands.add_parser("fit", help="train the student on what is labelled")
    fit.add_argument("--cache", type=Path, required=True, help="folder of the shards")
    fit.add_argument("--minutes", type=float, default=math.inf, help="end after so long")
    fit.add_argument("--pictures", type=float, default=2e6, help="or after so many, if sooner")
    fit.add_argument("--batch", type=int, default=64, help="pictures a step in each process")
    fit.add_argument("--rate", type=float, default=3e-3, help="largest learning rate")
    fit.add_argument("--seed", type=int, default=0)
    fit.set_defaults(run=_fit)
    arguments = parser.parse_args()
    arguments.run(arguments)


def _label(arguments: argparse.Namespace) -> None:
    from shards import write_shard
    from teacher import Teacher

    arguments.cache.mkdir(parents=True, exist_ok=True)
    photos = open_photos(arguments.photos, arguments.keep_out)
    teacher = Teacher(arguments.teacher, arguments.threads)
    for number in range(arguments.shards):
        if write_shard(arguments.cache, number, photos, teacher):
            print(f"shard {number} of {arguments.shards} labelled", flush=True)


def _fit(arguments: argparse.Namespace) -> None:
    from fit import fit

    options = {k: v for k, v in vars(arguments).items() if k != "run"}
    fit(**options)


def open_photos(folder: Path, keep_out: Path | None = None) -> list:
    """Photographs of a folder, and scikit-learn's two, decoded (RGB)."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_images

    banned = set(keep_out.read_text().split()) if keep_out else set()
    files = [f for f in sorted(folder.iterdir()) if f.name not in banned]
    photos = [Image.open(file).convert("RGB") for file in files]
    if not photos:
        raise SystemExit(f"no photographs in {folder}")
    samples = [Image.fromarray(np.asarray(image)) for image in load_sample_images().images]
    # As often as some twenty photographs: they are larger, and of other things.
    return photos + samples * 10


if __name__ == "__main__":
    main()
