"""The raw texts and photos behind deep features, as of each label's time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.cells.content import read_contents
from deepfeast.transforms.embeddings.tombstones import blank, read_tombstones
from deepfeast.transforms.errors import DeepfeastError
from deepfeast.transforms.features import DeepFeature, DeepViewSpec, deep_spec
from deepfeast.transforms.files.columns import SourceColumns, in_source
from deepfeast.transforms.files.csv import raw_types
from deepfeast.transforms.files.place import file_source, source_uri
from deepfeast.transforms.files.source import open_source
from deepfeast.transforms.history.sources import asked_of, seen
from deepfeast.transforms.history.views import PointInTimeJoin, ViewHistory
from deepfeast.transforms.warehouse.ask import Labels
from deepfeast.transforms.warehouse.open import elsewhere, lies_in_files, photo_root
from deepfeast.transforms.warehouse.pull import pull_table

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore

# What a raw column is called beside the keys, whatever they are called.
RAW = "raw value"


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


def raw_column(
    store: FeatureStore, view: Any, spec: DeepViewSpec, name: str, labels: pd.DataFrame
) -> tuple[pa.ChunkedArray, str]:
    """Read a column of a deep view's raw source as of each label's time.

    Returns
    -------
    column : ChunkedArray of length n_rows
        Null where there was nothing then, or the key is forgotten.
    root : str
        What paths of photos in it are relative to.
    """
    config, source = store.config, store.get_data_source(spec.source)
    columns = SourceColumns.of(view, source, [name])
    asked = pa.Table.from_pandas(
        _with_utc(labels[[*columns.keys, "event_timestamp"]]), preserve_index=False
    )
    types = raw_types(view, [name] if lies_in_files(source) else [])
    declared = {in_source(source, one): type_ for one, type_ in types.items()}
    if warehouse := elsewhere(config, source):
        span = seen(Labels(asked, "event_timestamp"), view.ttl)
        table = pull_table(warehouse, asked_of(source, columns, span), declared, view.name)
    else:
        table = open_source(config, file_source(source), types=declared)
    history = ViewHistory(
        view=view.name,
        table=table,
        join_keys=columns.keys,
        timestamp=columns.time,
        created=columns.created or None,
        features={RAW: columns.features[name]},
        ttl=view.ttl,
    )
    column = PointInTimeJoin(asked, "event_timestamp", [history]).features().column(RAW)
    forgotten = read_tombstones(source_uri(config, file_source(view.batch_source)))
    if forgotten:
        column = blank(column, forgotten.matches(asked))
    return column, photo_root(config, source)


def _with_utc(labels: pd.DataFrame) -> pd.DataFrame:
    from deepfeast.transforms.times import utc_times

    return labels.assign(event_timestamp=utc_times(labels["event_timestamp"], "event_timestamp"))
