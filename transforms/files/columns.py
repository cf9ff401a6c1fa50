"""How a source calls what its views call otherwise: Feast's ``field_mapping``, undone in one place.

A mapping says ``{column of the source: name in the views}``. Keys, times and features alike may
be mapped; what is not mapped has one name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feast import FeatureView


@dataclass(frozen=True)
class SourceColumns:
    """How a view's columns are called in a source.

    Attributes
    ----------
    keys, features : dict of str to str
        From the view's name of a column to the source's.
    time, created : str
        Columns of the source; `created` is empty where it has none.
    """

    keys: dict[str, str]
    features: dict[str, str]
    time: str
    created: str

    @classmethod
    def of(
        cls, view: FeatureView, source: Any = None, features: Iterable[str] | None = None
    ) -> SourceColumns:
        """Undo the mapping of a view's source, or of another one that has its keys.

        Parameters
        ----------
        view : FeatureView
        source : DataSource, optional
            Such as the raw source of a deep view; by default the one that the view reads.
        features : iterable of str, optional
            By default all of the view's.
        """
        source = view.batch_source if source is None else source
        names = (field.name for field in view.features) if features is None else features
        keys = join_keys(view)
        return cls(
            keys={name: in_source(source, name) for name in keys},
            features={name: in_source(source, name) for name in names},
            time=in_source(source, source.timestamp_field),
            created=in_source(source, source.created_timestamp_column or ""),
        )

    @property
    def times(self) -> list[str]:
        """The event time's column and, if there is one, the created time's."""
        return [name for name in (self.time, self.created) if name]

    @property
    def all(self) -> list[str]:
        """Every column that is read, once."""
        named = [*self.keys.values(), *self.features.values(), *self.times]
        return list(dict.fromkeys(named))


def join_keys(view: FeatureView) -> list[str]:
    """Return the join keys of a view; none for a view without entities."""
    from feast.feature_view import DUMMY_ENTITY_ID

    return [column.name for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]


def in_source(source: Any, name: str) -> str:
    """Return what a source calls a column that views call `name`.

    >>> from types import SimpleNamespace
    >>> in_source(SimpleNamespace(field_mapping={"ts": "event_timestamp"}), "event_timestamp")
    'ts'
    """
    mapping = source.field_mapping or {}
    return next((column for column, mapped in mapping.items() if mapped == name), name)
