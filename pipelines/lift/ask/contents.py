"""The raw texts and photos behind deep features, as of each label's time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.cells.content import read_contents
from deepfeast.transforms.errors import DeepfeastError
from deepfeast.transforms.features import DeepFeature, DeepViewSpec, deep_spec
from deepfeast.transforms.history.beside import raw_column

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore


class RawContents:
    """Reads what the encoders read.

    Parameters
    ----------
    store : FeatureStore
    labels : DataFrame of shape (n_rows, n_columns)
        Join keys and ``event_timestamp``.

    Attributes
    ----------
    failures : dict of str to str
        Deep features whose raw source cannot be read, and why.
    """

    def __init__(self, store: FeatureStore, labels: pd.DataFrame):
        self.store, self.labels = store, labels
        self.failures: dict[str, str] = {}
        self._features: dict[str, tuple[Any, DeepViewSpec, DeepFeature]] = {}
        for view in store.list_feature_views():
            spec = deep_spec(view)
            if spec is not None:
                self._features |= {one.name: (view, spec, one) for one in spec.features}

    def __contains__(self, name: object) -> bool:
        return name in self._features

    def feature(self, name: str) -> DeepFeature:
        """Return the declaration of a deep feature."""
        return self._features[name][2]

    def view(self, name: str) -> str:
        """Return the name of the view that has a deep feature."""
        return str(self._features[name][0].name)

    def modality(self, name: str) -> str:
        """Return what a deep feature is made of: ``"text"``, ``"image"`` or another kind."""
        from deepfeast.transforms.encoders import build_encoder

        return build_encoder(self.feature(name)).modality

    def read(self, name: str, rows: Sequence[int] | None = None) -> list[Any]:
        """Read the contents of a deep feature for some label rows, or all.

        Returns
        -------
        list of length n_rows
            Text, image bytes, or None where there was nothing then. Of several photos the
            first. All None where the source cannot be read; see `failures`.
        """
        from deepfeast.transforms.encoders import build_encoder
        from deepfeast.transforms.encoders.column import open_reader

        wanted = np.arange(len(self.labels)) if rows is None else np.asarray(rows, dtype=int)
        view, spec, feature = self._features[name]
        try:
            asked = self.labels.iloc[wanted]
            column, root = raw_column(self.store, view, spec, feature.column, asked)
            reader = open_reader(feature, build_encoder(feature), root)
            values = read_contents(column, reader).values
        except (DeepfeastError, OSError, pa.ArrowInvalid) as error:
            self.failures[name] = str(error)
            return [None] * len(wanted)
        return [value[0] if isinstance(value, tuple) else value for value in values]
