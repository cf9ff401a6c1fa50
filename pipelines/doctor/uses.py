"""What views read out of a warehouse, and whether its columns are as they declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from deepfeast.pipelines.doctor.findings import Finding
from deepfeast.transforms.errors import ColumnNotFound
from deepfeast.transforms.features import deep_spec
from deepfeast.transforms.files.columns import SourceColumns, in_source
from deepfeast.transforms.history.latest import Span
from deepfeast.transforms.history.sources import asked_of
from deepfeast.transforms.warehouse.open import lies_in_files
from deepfeast.transforms.warehouse.pull import Asked
from deepfeast.transforms.warehouse.typed import by_source

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

MEND = "Mend the source or the view, then feast apply."


@dataclass(frozen=True)
class Use:
    """What one view reads of one source.

    Attributes
    ----------
    view : str
    asked : Asked
    types : mapping of str to DataType
        What columns are declared as, by their names in the source.
    ttl : timedelta, optional
    contents : tuple of str
        Columns of texts and photos, where it is the raw source of a deep view.
    """

    view: str
    asked: Asked
    types: Mapping[str, pa.DataType]
    ttl: timedelta | None = None
    contents: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        return f"view {self.view}"

    @property
    def name(self) -> str:
        return f"source {self.asked.source.name!r}"


def uses(store: FeatureStore, views: Iterable[FeatureView]) -> list[Use]:
    """List what views read out of a warehouse."""
    found = []
    for view in views:
        spec, source, everything = deep_spec(view), view.batch_source, Span()
        if spec is None:
            if source is not None and not lies_in_files(source):
                columns = SourceColumns.of(view)
                asked = asked_of(source, columns, everything)
                found.append(Use(view.name, asked, by_source(view, columns), view.ttl))
            continue
        raw = store.get_data_source(spec.source)
        if not lies_in_files(raw):
            columns = SourceColumns.of(view, raw, [feature.column for feature in spec.features])
            types = by_source(view, SourceColumns.of(view, raw, []))
            contents = tuple(in_source(raw, feature.column) for feature in spec.features)
            asked = asked_of(raw, columns, everything)
            found.append(Use(view.name, asked, types, contents=contents))
    return found


def check_columns(
    use: Use, names: Mapping[str, str], types: Mapping[str, pa.DataType | None]
) -> Iterator[Finding]:
    """Look whether a source has the columns that a view reads, of types that fit.

    Parameters
    ----------
    names : mapping of str to str
        The source's columns, and what the warehouse calls their types.
    types : mapping of str to DataType or None
        What these come as; None where that is not known.
    """
    for column in use.asked.columns:
        if column not in names:
            error = ColumnNotFound.of(column, f"its {use.name}", names)
            yield Finding("error", use.where, str(error), MEND)
    for column, wanted in use.types.items():
        comes = types.get(column)
        if comes is not None and not fits(comes, wanted):
            yield Finding(
                "warning",
                use.where,
                f"the column {column!r} of its {use.name} is {names[column]} and is declared "
                f"as {wanted}: one value that is none stops every read.",
                MEND,
            )
    for column in dict.fromkeys(use.contents):
        comes = types.get(column)
        if comes is not None and pa.types.is_primitive(comes):
            yield Finding(
                "error",
                use.where,
                f"the column {column!r} of its {use.name} is {names[column]}; a deep feature reads "
                f"texts, or photos as bytes or paths.",
                MEND,
            )


def fits(comes: pa.DataType, wanted: pa.DataType) -> bool:
    """Tell whether every value of one type is one of another, but for the last digits of floats.

    >>> fits(pa.int32(), pa.int64()), fits(pa.int64(), pa.int32()), fits(pa.string(), pa.int64())
    (True, False, False)
    """
    kinds = pa.types
    if kinds.is_list(wanted):
        return kinds.is_list(comes) and fits(comes.value_type, wanted.value_type)
    if kinds.is_integer(wanted):
        return kinds.is_integer(comes) and comes.bit_width <= wanted.bit_width
    if kinds.is_floating(wanted):
        return kinds.is_integer(comes) or kinds.is_floating(comes)
    if kinds.is_temporal(wanted):
        return kinds.is_temporal(comes)
    if kinds.is_string(wanted):
        return not kinds.is_nested(comes)
    return comes == wanted
