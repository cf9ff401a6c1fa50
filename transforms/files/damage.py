"""What is wrong with a Delta table that cannot be read, said of the file that it is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from deepfeast.transforms.errors import BucketError, DeepfeastError, TableError
from deepfeast.transforms.files.bucket import BucketPath, Place, at
from deepfeast.transforms.files.store import told


@contextmanager
def reading(uri: str | Place, kind: type[DeepfeastError], mend: str) -> Iterator[None]:
    """Turn what goes wrong while a Delta table is opened into an error that names the culprit.

    Parameters
    ----------
    uri : str, Path or BucketPath
        Folder of the table.
    kind : class of error
    mend : str
        The ways out, as sentences.

    Raises
    ------
    kind
        If the log cannot be read.
    BucketError
        If it lies in a bucket that refuses or does not answer.
    TableError
        If the process was forked from one that had read Delta tables.
    """
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        yield
    except TableNotFoundError:
        raise
    except (DeltaError, OSError) as error:
        table = at(uri)
        # It asks the store itself, whose answer then comes first.
        faults = log_faults(table)
        if not faults and isinstance(table, BucketPath):
            raise BucketError(
                f"the Delta table at {uri} cannot be read: {told(error)}. Its log has no faults: "
                f"run again, and check the store."
            ) from error
        said = faults[0] if faults else told(error)
        raise kind(f"the Delta table at {uri} cannot be read: {said}. {mend}") from error
    except BaseException as error:
        # Rust's panics are no Exception, and the library is poisoned from then on.
        if type(error).__name__ != "PanicException" or "fork" not in str(error).lower():
            raise
        raise TableError(
            f"this process {os.getpid()} was forked from one that had read Delta tables, which "
            f"deltalake cannot go on with. Start workers by 'spawn' or 'forkserver' "
            f"(multiprocessing.set_start_method), or read no table before the fork (gunicorn: no "
            f"--preload)."
        ) from error


def log_faults(table: Place, contents: bool = True) -> list[str]:
    """Say what is wrong with the log of a Delta table; nothing where it is whole.

    Parameters
    ----------
    table : Path or BucketPath
        Its folder.
    contents : bool
        Whether each entry is read.

    Examples
    --------
    >>> from pathlib import Path
    >>> log_faults(Path("nowhere"))
    []
    """
    log = table / "_delta_log"
    entries = {int(path.stem): path for path in log.glob("*.json") if path.stem.isdigit()}
    faults = []
    for version, path in sorted(entries.items()):
        if version - 1 not in entries and version != min(entries):
            faults.append(f"its entry {version - 1:020d}.json is missing")
        if not contents:
            continue
        try:
            lines = path.read_text().splitlines()
            whole = bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
        except ValueError:
            whole = False
        if not whole:
            faults.append(f"its entry {path} is cut or damaged")
    return faults


def file_faults(table: Place, files: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Say of data files that are not as the log says what is wrong with them.

    Parameters
    ----------
    table : Path or BucketPath
        Folder of the table.
    files : sequence of mapping
        ``path`` relative to it, and ``size`` in bytes.

    Returns
    -------
    dict of str to str
        By path.

    Examples
    --------
    >>> from pathlib import Path
    >>> file_faults(Path("shop"), [{"path": "a.parquet", "size": 9}])
    {'a.parquet': 'the data file shop/a.parquet is missing'}
    """
    faults = {}
    sizes = _sizes(table, [file["path"] for file in files])
    for file in files:
        path, size, known = table / file["path"], sizes.get(file["path"]), file["size"]
        if size is None:
            faults[file["path"]] = f"the data file {path} is missing"
        elif size != known:
            faults[file["path"]] = (
                f"the data file {path} has {size:,} bytes, its log says {known:,}"
            )
    return faults


def _sizes(table: Place, names: Sequence[str]) -> dict[str, int]:
    """Return the bytes of files in a folder; in a bucket one list says it of all."""
    if not names:
        return {}
    if isinstance(table, BucketPath):
        start = len(str(table)) + 1
        return {str(path)[start:]: stat.st_size for path, stat in table.walk()}
    paths = {name: table / name for name in names}
    return {name: path.stat().st_size for name, path in paths.items() if path.is_file()}
