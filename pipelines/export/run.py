"""Export: the rows of an embedding table into a table of a warehouse, each run exactly once.

In PostgreSQL one transaction removes what is there no more and adds the runs that are not there
yet; the table itself says of which run each row is. Other warehouses take rows through Feast's
own store, which knows no transaction: `deepfeast.pipelines.export.append`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.pipelines.export.answer import Exported
from deepfeast.pipelines.export.append import append
from deepfeast.pipelines.export.destination import Destination, find_destination
from deepfeast.pipelines.export.record import Export, keep_export
from deepfeast.pipelines.export.rows import RunRows
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.tombstones import Tombstones, read_tombstones
from deepfeast.transforms.errors import SpecError
from deepfeast.transforms.feast_api import open_store
from deepfeast.transforms.files.columns import join_keys
from deepfeast.transforms.views import find_deep_view
from deepfeast.transforms.warehouse.target import ARRAY, VECTOR, Target, open_target

if TYPE_CHECKING:
    from feast import FeatureStore

Report = Callable[..., None]


def export(
    store: FeatureStore | str | Path,
    view: str,
    to: str,
    *,
    kind: str | None = None,
    progress: Report | None = None,
) -> Exported:
    """Bring the vectors of a deep view into a table of the warehouse.

    Parameters
    ----------
    store : FeatureStore, str or Path
        Or the folder of its repo.
    view : str
        Name of a deep feature view.
    to : str
        Name of a source of the repo, or ``schema.table`` in the repo's own PostgreSQL. A table of
        PostgreSQL is made where there is none.
    kind : {"array", "vector"}, optional
        What vectors are kept as in PostgreSQL: ``real[]``, or the type of pgvector. By default
        what a table that is there has, and arrays in a new one.
    progress : callable, optional
        Is told the stage, the rows done and the rows in all.

    Returns
    -------
    Exported

    Raises
    ------
    FeatureNotFound, SpecError, NeverEmbedded
        If there is no such view or place, the table has other columns, or nothing was embedded.
    NotWritable, SourceNotFound, SourceError
        If the user may not write there, or the server is down or refuses. Nothing has changed.
    RunInProgress
        If a run holds the view, or another export the table.
    """
    if kind not in (None, ARRAY, VECTOR):
        raise SpecError(f"vectors are kept as {ARRAY!r} or as {VECTOR!r}, not as {kind!r}.")
    opened = open_store(store)
    feature_view, _ = find_deep_view(opened, view)
    table = embedding_table(opened, feature_view)
    table.must_exist()
    place = find_destination(opened, to)
    report = progress or (lambda *told: None)
    # No key is forgotten, and nothing rebuilt, between what is read and what is committed.
    with table.held(f"export to {to}"):
        rows = RunRows.of(feature_view, table)
        stones = read_tombstones(table.path)
        if not place.table:
            if kind:
                raise SpecError(f"{to!r} lies in no PostgreSQL: leave out how vectors are kept.")
            return append(place, rows, stones, table.scratch, report)
        # Before the rows are there: who forgets a key must know of a copy, also after a kill.
        keep_export(table.scratch, place.uri, Export(to, transactional=True))
        return _send(place, rows, stones, kind, report)


def _send(
    place: Destination, rows: RunRows, stones: Tombstones | None, kind: str | None, report: Report
) -> Exported:
    """Have a table of PostgreSQL hold the rows of the current version, and no others."""
    layout = rows.layout(place.source)
    what = f"the export of view {rows.view.name!r} to {place.uri}"
    with open_target(place.warehouse, place.table, layout, kind, what) as target:
        there = set() if target.fresh else target.runs()
        foreign = sorted(there - rows.known)
        if foreign:
            raise SpecError(
                f"{what}: the table has rows of run {foreign[0]!r}, which view {rows.view.name!r} "
                f"never had: they are of another view, or its embedding table was begun anew. "
                f"Name another table, or drop this one: an export makes it anew."
            )
        removed = target.remove_runs(there - set(rows.runs))
        keys = join_keys(rows.view)
        forgotten = _forget(target, keys, stones) if there and stones else 0
        runs = [run for run in rows.runs if run not in there]
        numbers = rows.of_runs(runs)
        done = 0
        if runs:
            with target.copying() as copy:
                for batch in rows.read(numbers, layout):
                    copy.add(*batch)
                    done += len(batch[1])
                    report("Export", done, len(numbers))
        if target.fresh:
            target.index()
    return Exported(rows.view.name, place.uri, rows.version, done, runs, removed, forgotten)


def _forget(target: Target, names: list[str], stones: Tombstones) -> int:
    """Delete the rows of forgotten keys."""
    gone: list[dict[str, Any]] = []
    for keys in target.distinct_keys():
        hit = stones.matches(keys.rename_columns(names))
        gone += keys.filter(pa.array(hit)).to_pylist()
    return target.remove_keys(gone)
