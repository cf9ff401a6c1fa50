"""Encoders that were fitted to data, found again beside the table they belong to.

What was fitted (a PCA, a TF-IDF vocabulary) is frozen in one safetensors file a fingerprint,
in the embedding table's own folder; so every reader of the table encodes alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deepfeast.transforms.encoders import Encoder, build_encoder
from deepfeast.transforms.errors import EncoderError, NeverEmbedded

if TYPE_CHECKING:
    from deepfeast.transforms.features import DeepFeature

SCRATCH = "_deepfeast"


def state_path(table: str | Path, fingerprint: str) -> Path:
    """Return where the state of a fingerprint lies in an embedding table's folder."""
    return Path(table) / SCRATCH / "fitted" / f"{fingerprint}.safetensors"


def fitted_encoder(feature: DeepFeature, table: str | Path, fingerprint: str) -> Encoder:
    """Return a feature's encoder as its embedding table has it.

    Parameters
    ----------
    feature : DeepFeature
    table : str or Path
        Folder of the embedding table.
    fingerprint : str
        Of the feature's vectors, from the table's newest commit.

    Raises
    ------
    NeverEmbedded
        If the encoder needs a fit and none was published.
    EncoderError
        If the encoder is not the one of the fingerprint.
    """
    encoder = build_encoder(feature)
    if encoder.needs_fit:
        path = state_path(table, fingerprint)
        if not path.is_file():
            raise NeverEmbedded(
                f"the encoder of {feature.name!r} is fitted by its first run, and there is no "
                f"{path}. Run: deepfeast embed"
            )
        encoder.load_state(path)
    if encoder.fingerprint != fingerprint:
        raise EncoderError(
            f"the declared encoder of {feature.name!r} has fingerprint "
            f"{encoder.fingerprint[:12]}…, its table {fingerprint[:12]}…. "
            f"Embed again with --rebuild, or declare the old one."
        )
    return encoder
