"""Whether an embedding table is as its log says, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepfeast.transforms.embeddings.delta import named_files, open_delta
from deepfeast.transforms.errors import TableDamaged
from deepfeast.transforms.files.bucket import Place, at
from deepfeast.transforms.files.damage import file_faults, log_faults

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable

    from deepfeast.transforms.embeddings.table import EmbeddingTable


@dataclass(frozen=True)
class Fault:
    """What is wrong with a table, and the ways out.

    Attributes
    ----------
    what, mend : str
        Sentences.
    path : str
        The data file, relative to the table, that a rebuild can do without; or nothing.
    """

    what: str
    mend: str
    path: str = ""


def find_faults(table: EmbeddingTable, delta: DeltaTable | None) -> Iterator[Fault]:
    """Compare the log and the files of a table, and of its rejects, with what is on disk.

    Sizes are compared and no file is read, so that it costs a moment. In a bucket the entries of
    the log are not read either.

    Parameters
    ----------
    table : EmbeddingTable
    delta : DeltaTable or None
        As it was opened.
    """
    for what in log_faults(table.path, _on_disk(table)) if delta else ():
        yield Fault(f"the table of view {table.view!r}: {what}.", table.anew)
    for path, what in file_faults(table.path, named_files(delta)).items() if delta else ():
        yield Fault(
            f"the table of view {table.view!r}: {what}.",
            f"Restore it from a backup; or run deepfeast embed {table.view} --rebuild, which "
            f"encodes its rows anew and loses those that the source no longer has; or go back "
            f"with deepfeast rollback {table.view}.",
            path,
        )
    yield from _reject_faults(table)


def _reject_faults(table: EmbeddingTable) -> Iterator[Fault]:
    known = at(table.rejects, table.options)
    move = f"mv {known} {known}.damaged" if _on_disk(table) else f"move {known} elsewhere"
    mend = f"Restore it from a backup; or do without the list of what was rejected so far: {move}"
    faults = log_faults(known, _on_disk(table))
    if not faults:
        try:
            rejects = open_delta(table.rejects, table.options)
        except TableDamaged as error:
            faults = [str(error)]
        else:
            faults = (
                [*file_faults(known, named_files(rejects)).values()]
                if rejects
                else _unlogged(table, known)
            )
    for what in faults:
        yield Fault(f"the rejects of view {table.view!r}: {what}.", mend)


def _on_disk(table: EmbeddingTable) -> bool:
    return isinstance(table.path, Path)


def _unlogged(table: EmbeddingTable, rejects: Place) -> list[str]:
    """Say where there are rejects of runs that were published, but no log of them."""
    files = {path.stem for path in rejects.glob("*.parquet")}
    runs = {commit.meta["run_id"] for commit in table.commits()} if files else set()
    return [f"the log of {rejects} is gone, its files are there"] if files & runs else []


def check_table(table: EmbeddingTable, delta: DeltaTable | None, rebuild: bool) -> set[str]:
    """Refuse to work on a damaged table.

    Parameters
    ----------
    rebuild : bool
        A rebuild can do without data files.

    Returns
    -------
    set of str
        The damaged data files, where that is no matter.

    Raises
    ------
    TableDamaged
        It names the first file that is not as it should be, and the ways out.
    """
    bad = set()
    for fault in find_faults(table, delta):
        if not (fault.path and rebuild):
            raise TableDamaged(f"{fault.what} {fault.mend}")
        bad.add(fault.path)
    return bad


def sound(dataset: ds.Dataset, bad: Collection[str]) -> ds.Dataset:
    """Leave damaged data files out of a table."""
    import pyarrow.dataset as ds

    if not bad:
        return dataset
    left = [one for one in dataset.get_fragments() if one.path not in bad]
    return ds.FileSystemDataset(left, dataset.schema, ds.ParquetFileFormat(), dataset.filesystem)
