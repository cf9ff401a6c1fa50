"""What computes: encoders, embeddings, joins, lookups and estimators.

The names below are the public surface. They load on first use, so that importing the
package brings in neither torch, nor Beam, nor Feast.
"""

from __future__ import annotations

from typing import Any

from deepfeast.transforms.late import load

_HOME = {
    "DeepFeature": "features",
    "DeepViewSpec": "features",
    "deep_feature_view": "views",
    "Encoder": "encoders",
    "get_encoder": "encoders",
    "EmbedColumns": "embed",
    "training_frame": "join",
    "training_matrix": "join",
    "check_signature": "signatures",
    "signature": "signatures",
    "save_signature": "signatures",
    "load_signature": "signatures",
    "OnlineFeatures": "lookup",
    "FeastFeatures": "estimators",
    "LinearProbe": "probe",
    "EmbeddingPCA": "probe",
    "DeepColumns": "deep_columns",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    return load(__name__, _HOME, name)


def __dir__() -> list[str]:
    return __all__
