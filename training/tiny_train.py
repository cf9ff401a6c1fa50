r"""Train ``image-tiny`` by distillation: draw pictures, ask the teacher, fit to its answers.

Examples, from the root of the repository:

  # ten minutes on a GPU
  python training/tiny_train.py --photos ../shared/data/listings/photos \
    --teacher ../shared/models/mobilenet_v2 --cache /tmp/tiny --device cuda \
    --batch 512 --room 40000 --workers 15 --dreams 10000 --pictures 3.5e6
  # an afternoon on two cores
  python training/tiny_train.py --photos ../shared/data/listings/photos \
    --teacher ../shared/models/mobilenet_v2 --cache /tmp/tiny --dreams 2000 --pictures 5e5

It carries on where it stopped.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--keep-out", type=Path, help="file with names of photos never to be used")
    parser.add_argument("--teacher", type=Path, required=True, help="MobileNetV2 folder")
    parser.add_argument("--cache", type=Path, required=True, help="folder for checkpoint, weights")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end after so long")
    parser.add_argument("--pictures", type=float, default=2e6, help="or after so many, if sooner")
    parser.add_argument("--batch", type=int, default=64, help="pictures a step")
    parser.add_argument("--rate", type=float, default=3e-3, help="largest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--room", type=int, default=2000, help="drawn pictures kept, 0.2 MB each")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw")
    parser.add_argument("--dreams", type=int, default=0, help="pictures dreamt by the teacher")
    options = vars(parser.parse_args())
    from fit import fit
    from source import open_photos
    from teacher import Teacher

    from deepfeast.transforms.encoders.machine import find_device
    from deepfeast.transforms.errors import SpecError

    try:
        find_device(options["device"])
    except SpecError as error:
        parser.error(str(error))
    photos, kept_out = open_photos(options.pop("photos"), options.pop("keep_out"))
    teacher = Teacher(options.pop("teacher"), options["device"])
    fit(options.pop("cache"), teacher, photos, kept_out, **options)


if __name__ == "__main__":
    main()
