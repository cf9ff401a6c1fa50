"""What a retrieval gives back: whole, in parts, as files, or as a matrix.

Rows are found once, from keys and times; their features are read when they are asked for,
a part at a time where the result is written and not returned.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import pandas as pd
import pyarrow as pa
from feast import FileSource, OnDemandFeatureView, RepoConfig
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.saved_dataset import SavedDatasetStorage

from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.files.place import source_uri
from deepfeast.transforms.files.write_source import write_source
from deepfeast.transforms.history.views import PointInTimeJoin
from deepfeast.transforms.warehouse.open import open_warehouse
from deepfeast.transforms.warehouse.postgres import speaks
from deepfeast.transforms.warehouse.save import save_rows


class Result(Protocol):
    """Rows that are found, but not yet read."""

    @property
    def row_bytes(self) -> float:
        """About how large a row is."""

    def __len__(self) -> int: ...

    def to_table(self, part: slice = ...) -> pa.Table:
        """Read some of the rows, each column in one chunk."""


class DeepFeastRetrievalJob(RetrievalJob):
    """A retrieval that runs when its result is asked for.

    Parameters
    ----------
    find : callable
        Finds the rows, a `Result`.
    config : RepoConfig
    full_feature_names, on_demand_feature_views, metadata
        As Feast means them.
    """

    def __init__(
        self,
        find: Callable[[], Result],
        config: RepoConfig,
        *,
        full_feature_names: bool = False,
        on_demand_feature_views: Sequence[OnDemandFeatureView] = (),
        metadata: RetrievalMetadata | None = None,
    ):
        self._find = find
        self._config = config
        self._full_feature_names = full_feature_names
        self._on_demand_feature_views = list(on_demand_feature_views)
        self._metadata = metadata

    def batches(self, rows: int | None = None) -> Iterator[pa.Table]:
        """Yield the result in parts, for results larger than memory.

        Parameters
        ----------
        rows : int, optional
            Of a part; by default as many as stay within the store's ``memory_limit``. On-demand
            views are computed on the whole result, which then is one part.
        """
        if self._on_demand_feature_views:
            yield self.to_arrow()
            return
        found = self._find()
        rows = rows or _rows_within(self._config.offline_store.memory_limit, found)
        for start in range(0, max(len(found), 1), rows):
            yield found.to_table(slice(start, start + rows))

    @property
    def point_in_time(self) -> Callable[[], PointInTimeJoin] | None:
        """Returns the join itself, for callers that want matrices; None under on-demand views."""
        if self._on_demand_feature_views:
            return None
        return cast("Callable[[], PointInTimeJoin]", self._find)

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return self._find().to_table()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal().to_pandas()

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand_feature_views

    @property
    def metadata(self) -> RetrievalMetadata | None:
        return self._metadata

    def persist(
        self,
        storage: SavedDatasetStorage,
        allow_overwrite: bool = False,
        timeout: int | None = None,
    ) -> None:
        """Write the result to the storage of a saved dataset, part by part.

        Raises
        ------
        SavedDatasetLocationAlreadyExists
            If something is there that is not to be overwritten.
        SpecError
            If that is neither in files nor in a PostgreSQL that is the repo's warehouse.
        """
        source = storage.to_data_source()
        if isinstance(source, FileSource):
            write_source(self._config, source, self.batches(), overwrite=allow_overwrite)
            return
        warehouse = open_warehouse(self._config)
        if type(source).__name__ != "PostgreSQLSource" or not (warehouse and speaks(warehouse)):
            raise SpecError(
                f"a saved dataset is written to files, or to the PostgreSQL that is the repo's "
                f"warehouse: {type(storage).__name__} is neither here. Use "
                f"SavedDatasetFileStorage(path='...'), and load that into the warehouse."
            )
        table = source.get_table_query_string()
        save_rows(warehouse, table, self.batches(), overwrite=allow_overwrite)

    def to_sql(self) -> str:
        raise NotImplementedError(
            "no one query gives this result: it is joined out of files, or of what was pulled from "
            "the warehouse. Use to_arrow() or to_df()."
        )

    def supports_remote_storage_export(self) -> bool:
        return self._config.offline_store.staging_location is not None

    def to_remote_storage(self) -> list[str]:
        """Write the result as Parquet files under the staging location; return their paths."""
        folder = self._config.offline_store.staging_location
        if folder is None:
            raise SpecError(
                "to_remote_storage needs a place: set offline_store.staging_location in "
                "feature_store.yaml to a folder or URI."
            )
        paths, run = [], uuid.uuid4().hex
        for number, part in enumerate(self.batches()):
            source = FileSource(path=f"{folder.rstrip('/')}/{run}/part-{number:05d}.parquet")
            write_source(self._config, source, [part])
            paths.append(source_uri(self._config, source))
        return paths


@dataclass
class OneEntity:
    """Rows of a view without entities, under the key by which Feast writes them online."""

    found: Result

    @property
    def row_bytes(self) -> float:
        return self.found.row_bytes

    def __len__(self) -> int:
        return len(self.found)

    def to_table(self, part: slice = slice(None)) -> pa.Table:
        table = self.found.to_table(part)
        key = pa.array([DUMMY_ENTITY_VAL] * len(table), pa.string())
        return table.append_column(DUMMY_ENTITY_ID, key)


def _rows_within(limit: str, found: Result) -> int:
    """Return how many rows may be read at once."""
    # A part exists up to four times: as read, as gathered, in order, and on its way out.
    return max(1, _bytes(limit) // int(4 * found.row_bytes + 1))


def _bytes(size: str) -> int:
    """Read a size such as ``4GB`` or ``512 MiB``."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", size, re.IGNORECASE)
    if not match:
        raise SpecError(f"memory_limit: {size!r} is no size. Write, for example, '4GB'.")
    number, unit, binary = match.groups()
    power = " KMGT".index(unit.upper() or " ")
    return int(float(number) * (1024 if binary else 1000) ** power)
