"""Reading weights: safetensors, or torch's own format without running code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.encoders.files import weight_files
from deepfeast.transforms.errors import EncoderError

if TYPE_CHECKING:
    import torch


def read_weights(place: Path) -> dict[str, torch.Tensor]:
    """Read the weights of a folder, or of one file, as named tensors."""
    weights: dict[str, torch.Tensor] = {}
    for path in weight_files(place) if place.is_dir() else [place]:
        weights.update(_read_file(path))
    return weights


def open_transformer(folder: Path, trust: bool, **options: Any) -> Any:
    """Open a folder as `transformers` does; its own code runs only where it is trusted."""
    from transformers import AutoModel

    try:
        with quietly():
            return AutoModel.from_pretrained(
                folder, local_files_only=True, trust_remote_code=trust, **options
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        way = "If it brings code of its own and you trust it: ?trust_remote_code=1."
        raise EncoderError(
            f"{folder} cannot be opened as a transformers model: {str(error).splitlines()[0]} {way}"
        ) from error


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep `transformers` from drawing progress bars and advice while it loads."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _read_file(path: Path) -> dict[str, torch.Tensor]:
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        found: Any = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises as the file pleases
        raise EncoderError(
            f"{path} does not load as plain weights: {str(error).splitlines()[0]}. Only tensors "
            f"are read, never code; save it again with safetensors.torch.save_file(state_dict)."
        ) from error
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    return found
