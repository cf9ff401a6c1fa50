"""What views read out of a warehouse: can it be reached, and has it what they declare?

A PostgreSQL is asked in its own words. Of any other warehouse only the columns are known, by
Feast's own call; what was not looked at is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.pipelines.doctor.files import check_created
from deepfeast.pipelines.doctor.findings import Finding
from deepfeast.pipelines.doctor.postgres import check_rights, check_table
from deepfeast.pipelines.doctor.uses import Use, check_columns, uses
from deepfeast.transforms.errors import DeepfeastError, SpecError
from deepfeast.transforms.warehouse import postgres
from deepfeast.transforms.warehouse.open import BLOCK, Warehouse, open_warehouse

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

MEND = "Start it, or mend offline_store.warehouse in feature_store.yaml."


def check_warehouse(store: FeatureStore, views: list[FeatureView]) -> Iterator[Finding]:
    """Look at all that views read out of a warehouse."""
    asked = uses(store, views)
    if not asked:
        return
    try:
        warehouse = open_warehouse(store.config)
    except SpecError as error:
        yield Finding("error", "offline_store", str(error), "Mend the block.")
        return
    if warehouse is None:  # Feast's own store reads what is not ours to judge
        for use in asked:
            if use.contents:
                what = f"its {use.name} lies in no files, and this repo names no warehouse."
                yield Finding("error", use.where, what, f"In feature_store.yaml: {BLOCK}.")
        return
    for use in asked:
        yield from check_created(use.where, use.asked.source)
    speaks = postgres.speaks(warehouse)
    yield from _in_postgres(store, warehouse, asked) if speaks else _anywhere(warehouse, asked)


def _in_postgres(store: FeatureStore, warehouse: Warehouse, asked: list[Use]) -> Iterator[Finding]:
    from deepfeast.transforms.warehouse.catalog import looking

    try:
        with postgres.reaching(warehouse, "the warehouse"), looking(warehouse) as connection:
            most = store.config.offline_store.pull_rows
            yield from check_rights(connection, warehouse, most)
            for use in asked:
                yield from check_table(connection, warehouse, use, most)
    except DeepfeastError as error:
        yield Finding("error", "offline_store", str(error), MEND)


def _anywhere(warehouse: Warehouse, asked: list[Use]) -> Iterator[Finding]:
    """Ask Feast's store for the columns of each source; it has no calls for more."""
    for use in asked:
        source = use.asked.source
        try:
            found = dict(source.get_table_column_names_and_types(warehouse.config))
        except Exception as error:  # whatever the client of some warehouse raises
            said = warehouse.discreet(f"{type(error).__name__}: {error}").splitlines()[0]
            yield Finding("error", use.where, f"its {use.name} cannot be read: {said}.", MEND)
            continue
        to_feast = source.source_datatype_to_feast_value_type()
        types = {name: _arrow_type(to_feast(type_)) for name, type_ in found.items()}
        yield from check_columns(use, found, types)
        yield Finding(
            "note",
            use.where,
            f"its {use.name} is reached, and its columns were looked at. Not checked, for Feast "
            f"has no call for it: rights, indexes, the zone of its times, its rows and their cost.",
        )


def _arrow_type(kind: Any) -> pa.DataType | None:
    from feast import ValueType
    from feast.type_map import feast_value_type_to_pa

    unknown = (ValueType.UNKNOWN, ValueType.NULL)
    return None if kind in unknown else feast_value_type_to_pa(kind)
