"""What belongs together: a column, a file of groups, or several of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.copies import COSINE, GROUP, SIZE
from deepfeast.transforms.errors import ColumnNotFound, LiftError, SourceNotFound

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

FILES = (".parquet", ".csv")
TIME = "event_timestamp"


def read_table(path: Path, what: str = "groups") -> pd.DataFrame:
    """Read a Parquet or CSV file of labels, or of what else it is to be called in an error.

    Raises
    ------
    SourceNotFound
        If there is none.
    """
    import pandas as pd

    if not path.is_file():
        raise SourceNotFound(f"no {what} at {path.resolve()}: give a Parquet or CSV file.")
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def label_groups(labels: pd.DataFrame, named: Sequence[str]) -> NDArray[np.int64]:
    """Put label rows into groups.

    Parameters
    ----------
    labels : DataFrame of shape (n_rows, n_columns)
    named : sequence of str
        Columns, or files of groups (see `file_groups`). With several, rows that one of them puts
        together are together, and so is what hangs together by way of other rows.

    Returns
    -------
    ndarray of int64 of shape (n_rows,)
        A row that a file does not know is alone there; rows that miss a column's value are one
        group.

    Examples
    --------
    >>> import pandas as pd
    >>> labels = pd.DataFrame({"seller": [1, 1, 2, 3], "photo": ["a", "b", "b", "c"]})
    >>> label_groups(labels, ["seller", "photo"]).tolist()
    [0, 0, 0, 1]
    """
    import pandas as pd
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, ends, total = [], [], len(labels)
    for one in named:
        if one.endswith(FILES):
            codes = pd.factorize(file_groups(Path(one), labels))[0]
        elif one in labels.columns:
            codes = pd.factorize(labels[one], use_na_sentinel=False)[0]
        else:
            raise ColumnNotFound.of(one, "the labels", map(str, labels.columns))
        known = np.flatnonzero(codes >= 0)
        rows.append(known)
        ends.append(codes[known] + total)
        total += int(codes.max(initial=-1)) + 1
    row, end = np.concatenate(rows), np.concatenate(ends)
    graph = coo_array((np.ones(len(row), bool), (row, end)), shape=(total, total))
    found = connected_components(graph, directed=False)[1][: len(labels)]
    groups: NDArray[np.int64] = np.unique(found, return_inverse=True)[1].astype(np.int64)
    return groups


def file_groups(path: Path, rows: pd.DataFrame, keys: Sequence[str] | None = None) -> Any:
    """Return what a file of groups says of rows: a Series of length n_rows, NaN of unknown ones.

    Parameters
    ----------
    path : Path
        Such as ``deepfeast duplicates --out`` writes: keys, and a column of groups beside them.
    rows : DataFrame
    keys : sequence of str, optional
        By default the columns that both have.

    Raises
    ------
    LiftError
        If the file has no column that `rows` has, or not one of groups, or no key in common.
    """
    table = read_table(path)
    about = (GROUP, SIZE, COSINE, TIME)
    keys = keys or [name for name in table.columns if name in rows.columns and name not in about]
    rest = [name for name in table.columns if name not in (*keys, SIZE, COSINE, TIME)]
    if GROUP in rest:
        rest = [GROUP]
    if len(rest) != 1 or not keys or not set(keys) <= set(table.columns):
        raise LiftError(
            f"{path} has the columns {', '.join(map(str, table.columns))}: expected the entity "
            f"keys, and one column of groups beside them, as deepfeast duplicates --out writes."
        )
    found = beside(rows, list(keys), table, rest[0])
    if len(found) and found.isna().all():
        raise LiftError(
            f"{path} knows none of the {len(rows):,} keys: are {', '.join(keys)} written otherwise "
            f"there, such as {table[keys[0]].iloc[:1].tolist()}?"
        )
    return found


def beside(rows: pd.DataFrame, keys: list[str], table: pd.DataFrame, column: str) -> Any:
    """Return a column of another table by key; of a key that is there twice, its last row's."""
    last = table[[*keys, column]].drop_duplicates(keys, keep="last")
    try:
        return rows[keys].merge(last, on=keys, how="left")[column]
    except ValueError:  # texts on one side, numbers on the other
        mine, theirs = (
            one.assign(**{key: one[key].astype(str) for key in keys}) for one in (rows, last)
        )
        return mine[keys].merge(theirs, on=keys, how="left")[column]
