"""Delta tables whose data files are ours: opened with their store's options, grown by commits.

Delta's own writer cannot append below a folder with a ``[`` in its name, and would hold all rows.
A transaction only names files that are there already.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import TableDamaged
from deepfeast.transforms.files.bucket import at
from deepfeast.transforms.files.damage import reading

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

Options = dict[str, str] | None
RESTORE = "Restore it from a backup, or move its folder aside."


def open_delta(
    uri: str, options: Options = None, version: int | None = None, mend: str = RESTORE
) -> DeltaTable | None:
    """Open a Delta table; None where there is none.

    Parameters
    ----------
    uri : str
        Its folder.
    options : dict of str to str, optional
        What ``deltalake`` must be told to reach its object store.
    version : int, optional
        The newest by default.
    mend : str, optional
        What to do where it is damaged.

    Raises
    ------
    TableDamaged
        If its log cannot be read.
    """
    from deltalake import DeltaTable

    with reading(at(uri, options), TableDamaged, mend):
        if not DeltaTable.is_deltatable(uri, options):
            return None
        return DeltaTable(uri, version, storage_options=options)


def named_files(table: DeltaTable) -> list[dict[str, Any]]:
    """Return the data files of a table as `commit_files` takes them."""
    names = {"path": "path", "size_bytes": "size", "num_records": "rows"}
    found = pa.table(table.get_add_actions()).select(list(names))
    return found.rename_columns(list(names.values())).to_pylist()


def commit_files(
    uri: str,
    schema: pa.Schema,
    parts: Sequence[Mapping[str, Any]],
    *,
    table: DeltaTable | None,
    options: Options = None,
    replace: bool = False,
    instead_of: Sequence[Mapping[str, Any]] = (),
    properties: CommitProperties | None = None,
    **new: Any,
) -> None:
    """Have a table name data files, in one transaction.

    Parameters
    ----------
    parts : sequence of mapping
        ``path`` relative to the table, ``size`` in bytes, ``rows``.
    table : DeltaTable or None
        As it was opened; None where there is none yet.
    replace : bool
        Whether the files that it names so far leave it. They stay on disk.
    instead_of : sequence of mapping
        Files of the table whose rows `parts` have now: a reader of changes sees none.
    properties : CommitProperties, optional
    new
        ``name`` and ``configuration`` of a table that is made.

    Raises
    ------
    DeltaError
        If the table is there although `table` is None, or the commit conflicts with another.
    """
    from deltalake import Schema
    from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

    stamp = int(time.time() * 1000)
    news = not instead_of
    actions: list[Any] = [
        AddAction(
            part["path"],
            part["size"],
            {},
            stamp,
            news,
            json.dumps({"numRecords": part["rows"]}),
        )
        for part in parts
    ]
    actions += [RemoveAction(old["path"], news, stamp, old["size"], {}) for old in instead_of]
    if table is None:
        create_table_with_add_actions(
            uri,
            Schema.from_arrow(schema),
            actions,
            mode="error",
            storage_options=options,
            commit_properties=properties,
            **new,
        )
    else:
        mode = "overwrite" if replace else "append"
        table.create_write_transaction(actions, mode, schema, commit_properties=properties)
