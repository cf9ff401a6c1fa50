"""A Feast view's history, wherever its source lies: in files, or in a warehouse.

Out of a warehouse come the columns and the span of time that are asked for, to be joined here as
files are. A history that is too long for that is joined in the warehouse.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.errors import JoinError
from deepfeast.transforms.files.columns import SourceColumns
from deepfeast.transforms.files.place import file_source
from deepfeast.transforms.files.source import open_source
from deepfeast.transforms.history.latest import Span, rows_between
from deepfeast.transforms.history.views import JoinedHistory, ViewHistory
from deepfeast.transforms.times import in_utc, nanoseconds
from deepfeast.transforms.warehouse.ask import Labels, join_there
from deepfeast.transforms.warehouse.open import Warehouse, lies_in_files, warehouse_of
from deepfeast.transforms.warehouse.postgres import reaching
from deepfeast.transforms.warehouse.pull import FIRST, LAST, Asked, count_rows, pull_table
from deepfeast.transforms.warehouse.typed import by_source, declared

if TYPE_CHECKING:
    from feast import FeatureView, RepoConfig
    from feast.infra.registry.base_registry import BaseRegistry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Histories:
    """The histories of a repo's views.

    Parameters
    ----------
    config : RepoConfig
    registry : BaseRegistry
    project : str
    full_names : bool
        Put the view's name before its features'.
    """

    config: RepoConfig
    registry: BaseRegistry
    project: str
    full_names: bool = False

    def of(self, view: FeatureView, features: list[str], labels: Labels) -> ViewHistory:
        """Find the history that label rows can see of a view.

        Raises
        ------
        SourceError
            If its source cannot be read.
        SpecError
            If it lies in a warehouse and the repo names none.
        """
        if lies_in_files(view.batch_source):
            return self._in_files(view, features)
        warehouse = warehouse_of(self.config, view.batch_source)
        columns = SourceColumns.of(view, features=features)
        asked = asked_of(view.batch_source, columns, seen(labels, view.ttl))
        most = self.config.offline_store.pull_rows
        rows = self._count(warehouse, view, asked)
        if most and rows <= most:
            return self._pulled(warehouse, view, features, asked)
        if rows > most:
            log.warning(
                f"view {view.name!r}: {rows:,} rows lie in the window of these labels, more than "
                f"offline_store.pull_rows ({most:,}) lets come here; the warehouse joins them."
            )
        return self._joined_there(warehouse, view, features, labels)

    def entities_between(
        self, views: list[FeatureView], start: datetime, end: datetime
    ) -> pd.DataFrame:
        """Return a row for each entity and event time of a feature row in the range, in that order.

        Views without entities add no rows to those of others; alone, one for each of their times.

        Raises
        ------
        JoinError
            If the views do not have the same join keys.
        """
        histories = [self._between(view, Span(start, end)) for view in views]
        keyed = [history for history in histories if history.join_keys] or histories
        if len({frozenset(history.join_keys) for history in keyed}) > 1:
            raise JoinError(
                "without entity rows, all views must have the same join keys: which listing "
                "belongs to which host is not known here. Pass entity_df."
            )
        frames = [_moments(history, Span(start, end)) for history in keyed]
        entities = pd.concat(frames).drop_duplicates()
        return entities.sort_values(list(entities.columns), ignore_index=True)

    def _between(self, view: FeatureView, span: Span) -> ViewHistory:
        if lies_in_files(view.batch_source):
            return self._in_files(view, [])
        warehouse = warehouse_of(self.config, view.batch_source)
        asked = asked_of(view.batch_source, SourceColumns.of(view, features=[]), span)
        rows, most = self._count(warehouse, view, asked), self.config.offline_store.pull_rows
        if rows > most:
            raise JoinError(
                f"view {view.name!r} has {rows:,} rows in that range, more than "
                f"offline_store.pull_rows ({most:,}) lets come here. Pass entity_df, or raise it."
            )
        return self._pulled(warehouse, view, [], asked)

    def _count(self, warehouse: Warehouse, view: FeatureView, asked: Asked) -> int:
        with reaching(warehouse, f"view {view.name!r}, source {asked.source.name!r}"):
            return count_rows(warehouse, asked) or 0

    def _in_files(self, view: FeatureView, features: list[str]) -> ViewHistory:
        source = file_source(view.batch_source)
        table = open_source(self.config, source, view)
        return ViewHistory(table=table, **self._columns(view, features))

    def _pulled(
        self, warehouse: Warehouse, view: FeatureView, features: list[str], asked: Asked
    ) -> ViewHistory:
        types = by_source(view, SourceColumns.of(view))
        table = pull_table(warehouse, asked, types, view.name)
        return ViewHistory(table=table, **self._columns(view, features))

    def _joined_there(
        self, warehouse: Warehouse, view: FeatureView, features: list[str], labels: Labels
    ) -> ViewHistory:
        columns, types = self._columns(view, features), declared(view)
        asked = {name: types[name] for name in features}
        keys = list(columns["join_keys"])
        table, rows = join_there(warehouse, view, asked, keys, labels, self.registry, self.project)
        named = dict(zip(columns["features"], features, strict=True))
        return JoinedHistory(table=table, rows=rows, **{**columns, "features": named})

    def _columns(self, view: FeatureView, features: list[str]) -> dict[str, Any]:
        """Translate a Feast view, its mappings and its alias into columns of its table."""
        columns = SourceColumns.of(view, features=features)
        key_map = view.projection.join_key_map
        prefix = f"{view.projection.name_alias or view.name}__" if self.full_names else ""
        return {
            "view": view.name,
            "join_keys": {key_map.get(key, key): column for key, column in columns.keys.items()},
            "timestamp": columns.time,
            "created": columns.created or None,
            "features": {f"{prefix}{name}": column for name, column in columns.features.items()},
            "ttl": view.ttl,
        }


def asked_of(source: Any, columns: SourceColumns, span: Span) -> Asked:
    """Say what is to be read of a source, and of which time."""
    return Asked(
        source=source,
        keys=tuple(columns.keys.values()),
        features=tuple(dict.fromkeys(columns.features.values())),
        time=columns.time,
        created=columns.created,
        start=FIRST if span.start is None else in_utc(span.start),
        end=LAST if span.end is None else in_utc(span.end),
    )


def seen(labels: Labels, ttl: timedelta | None) -> Span:
    """Return the span of event time that label rows can see anything of.

    >>> at = pa.array([datetime(2024, 5, 3), None, datetime(2024, 5, 9)], pa.timestamp("us", "UTC"))
    >>> span = seen(Labels(pa.table({"at": at}), "at"), timedelta(days=2))
    >>> span.start.isoformat(), span.end.isoformat()
    ('2024-05-01T00:00:00+00:00', '2024-05-09T00:00:00+00:00')
    """
    column = labels.table.column(labels.timestamp)
    ends = pc.min_max(column.cast(pa.timestamp("us", "UTC"), safe=False)).as_py()
    if ends["max"] is None:
        return Span(FIRST, FIRST)
    start = None if not ttl or ends["min"] - FIRST < ttl else ends["min"] - ttl
    return Span(start, ends["max"])


def _moments(history: ViewHistory, span: Span) -> pd.DataFrame:
    """Read the entities and event times of a table's rows in a span."""
    rows = rows_between(history.table, history.timestamp, span)
    read = list(dict.fromkeys([*history.join_keys.values(), history.timestamp]))
    found = history.table.take(rows, read).drop_null()  # before pandas makes them floats
    keys = {label: found.column(source) for label, source in sorted(history.join_keys.items())}
    times = pd.to_datetime(nanoseconds(found.column(history.timestamp)), utc=True)
    return pd.DataFrame({label: column.to_pandas() for label, column in keys.items()}).assign(
        event_timestamp=times
    )
