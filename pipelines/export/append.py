"""Export to a warehouse through Feast's own store for it, which appends rows and does no more.

Nothing ties the rows of a run to a note that they are there: a run that was being written when its
export was killed is written again by the next. Each row says of which run it is, so that whoever
reads can tell rows that came twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.pipelines.export.answer import Exported
from deepfeast.pipelines.export.record import Export, keep_export, read_exports
from deepfeast.transforms.arrow import matrix_to_vectors
from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.warehouse.target import RUN

if TYPE_CHECKING:
    from deepfeast.pipelines.export.destination import Destination
    from deepfeast.pipelines.export.rows import Batch, RunRows
    from deepfeast.transforms.embeddings.tombstones import Tombstones
    from deepfeast.transforms.files import bucket
    from deepfeast.transforms.warehouse.target import Layout


def append(
    place: Destination,
    rows: RunRows,
    stones: Tombstones | None,
    scratch: bucket.Place,
    report: Callable[..., None],
) -> Exported:
    """Append the rows of the runs that are not there yet, run by run.

    Raises
    ------
    SpecError
        If the table has other columns, has rows of another version, or Feast's store writes none.
    """
    from feast import FeatureView

    layout = rows.layout(place.source)
    names = _columns(place, rows, layout)
    known = read_exports(scratch).get(place.uri, Export(place.to, transactional=False))
    if known.runs and known.version != rows.version:
        raise SpecError(
            f"{place.uri} has rows of version {known.version} of view {rows.view.name!r}, whose "
            f"version {rows.version} is current. Feast's store cannot remove them: export to "
            f"another table; or empty this one and delete {scratch / 'exports.json'}."
        )
    target = FeatureView(name=rows.view.name, source=place.source)
    runs = [run for run in rows.runs if run not in known.runs]
    total, done = len(rows.of_runs(runs)), 0
    # Before any row is there: who forgets a key must know of a copy.
    keep_export(scratch, place.uri, known)
    for run in runs:
        for batch in rows.read(rows.of_runs([run]), layout):
            _write(place, target, _as_table(batch).select(names))
            done += len(batch[1])
            report("Export", done, total)
        known.version, known.runs = rows.version, [*known.runs, run]
        keep_export(scratch, place.uri, known)
    notes = []
    if stones and stones.times:
        notes.append("rows of keys that were forgotten later stay there: delete them yourself")
    return Exported(rows.view.name, place.uri, rows.version, done, runs, notes=notes)


def _columns(place: Destination, rows: RunRows, layout: Layout) -> list[str]:
    """Return the columns of the table in their order; it must have those that are written."""
    config = place.warehouse.config
    found = [name for name, _ in place.source.get_table_column_names_and_types(config)]
    wanted = [*layout.plain, *layout.vectors]
    if sorted(found) != sorted(wanted):
        raise SpecError(
            f"{place.uri} needs just these columns for view {rows.view.name!r}: "
            f"{', '.join(wanted)}; {RUN} is text, and each vector an array of floats. It has: "
            f"{', '.join(found)}."
        )
    return found


def _as_table(batch: Batch) -> pa.Table:
    table, runs, matrices = batch
    table = table.append_column(RUN, pa.array(runs, pa.string()))
    for name, matrix in matrices.items():
        table = table.append_column(name, matrix_to_vectors(matrix, ~np.isnan(matrix[:, 0])))
    return table


def _write(place: Destination, view: Any, table: pa.Table) -> None:
    try:
        place.warehouse.store.offline_write_batch(place.warehouse.config, view, table, None)
    except NotImplementedError as error:
        said = f" ({error})" if str(error) else ""
        raise SpecError(
            f"Feast's store of type {place.warehouse.kind!r} writes no rows to {place.to!r}{said}, "
            f"so that nothing can be exported there."
        ) from None
