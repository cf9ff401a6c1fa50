"""Encoders that were fitted to data, found again beside the table they belong to.

What was fitted (a PCA, a TF-IDF vocabulary) is frozen in one safetensors file a fingerprint,
in the embedding table's own folder; so every reader of the table encodes alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.encoders import Encoder, build_encoder
from deepfeast.transforms.errors import EncoderError, NeverEmbedded
from deepfeast.transforms.files.bucket import Place, at
from deepfeast.transforms.files.fetch import local

if TYPE_CHECKING:
    from deepfeast.transforms.features import DeepFeature

SCRATCH = "_deepfeast"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Fit:
    """What the fitted steps of a feature have seen.

    Attributes
    ----------
    rows : int
    first, last : datetime
        The earliest and the latest event time among them, in UTC. Runs of deepfeast 0.1 did not
        note them: there `first` is None, and no row seen was later than `last`.
    """

    rows: int
    first: datetime | None
    last: datetime


def fits_of(meta: Mapping[str, Any]) -> dict[str, Fit]:
    """Return what each feature was fitted on, from the metadata of a commit.

    >>> meta = {"created": 9, "fits": {"vec": {"rows": 60, "until": None, "first": 0, "last": 7}}}
    >>> fits_of(meta)["vec"].last.isoformat()
    '1970-01-01T00:00:00.000007+00:00'
    """
    return {
        feature: Fit(
            fit["rows"],
            _time(fit["first"]) if "first" in fit else None,
            _time(fit.get("last", fit["until"] if fit["until"] is not None else meta["created"])),
        )
        for feature, fit in meta.get("fits", {}).items()
    }


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def state_path(table: str | Place, fingerprint: str) -> Place:
    """Return where the state of a fingerprint lies in an embedding table's folder."""
    return at(table) / SCRATCH / "fitted" / f"{fingerprint}.safetensors"


def fitted_encoder(feature: DeepFeature, table: str | Place, fingerprint: str) -> Encoder:
    """Return a feature's encoder as its embedding table has it.

    Parameters
    ----------
    feature : DeepFeature
    table : str, Path or BucketPath
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
        encoder.load_state(local(path))
    if encoder.fingerprint != fingerprint:
        raise EncoderError(
            f"the declared encoder of {feature.name!r} has fingerprint "
            f"{encoder.fingerprint[:12]}…, its table {fingerprint[:12]}…. "
            f"Embed again with --rebuild, or declare the old one."
        )
    return encoder
