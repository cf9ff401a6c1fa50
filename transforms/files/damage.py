"""What is wrong with a Delta table that cannot be read, said of the file that it is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepfeast.transforms.errors import DeepfeastError, TableError


@contextmanager
def reading(uri: str, kind: type[DeepfeastError], mend: str) -> Iterator[None]:
    """Turn what goes wrong while a Delta table is opened into an error that names the culprit.

    Parameters
    ----------
    uri : str
        Folder of the table.
    kind : class of error
    mend : str
        The ways out, as sentences.

    Raises
    ------
    kind
        If the log cannot be read.
    TableError
        If the process was forked from one that had read Delta tables.
    """
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        yield
    except TableNotFoundError:
        raise
    except (DeltaError, OSError) as error:
        told = log_faults(Path(uri)) or [str(error).partition("\n")[0]]
        raise kind(f"the Delta table at {uri} cannot be read: {told[0]}. {mend}") from error
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


def log_faults(table: Path) -> list[str]:
    """Say what is wrong with the log of a local Delta table; nothing where it is whole.

    Examples
    --------
    >>> log_faults(Path("nowhere"))
    []
    """
    log = table / "_delta_log"
    entries = {int(path.stem): path for path in log.glob("*.json") if path.stem.isdigit()}
    faults = []
    for version, path in sorted(entries.items()):
        if version - 1 not in entries and version != min(entries):
            faults.append(f"its entry {version - 1:020d}.json is missing")
        try:
            lines = path.read_text().splitlines()
            whole = bool(lines) and all(isinstance(json.loads(line), dict) for line in lines)
        except ValueError:
            whole = False
        if not whole:
            faults.append(f"its entry {path} is cut or damaged")
    return faults


def file_faults(table: Path, files: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Say of data files that are not as the log says what is wrong with them.

    Parameters
    ----------
    table : Path
        Folder of the table.
    files : sequence of mapping
        ``path`` relative to it, and ``size`` in bytes.

    Returns
    -------
    dict of str to str
        By path.

    Examples
    --------
    >>> file_faults(Path("shop"), [{"path": "a.parquet", "size": 9}])
    {'a.parquet': 'the data file shop/a.parquet is missing'}
    """
    faults = {}
    for file in files:
        path = table / file["path"]
        if not path.is_file():
            faults[file["path"]] = f"the data file {path} is missing"
        elif path.stat().st_size != file["size"]:
            size, known = path.stat().st_size, file["size"]
            faults[file["path"]] = (
                f"the data file {path} has {size:,} bytes, its log says {known:,}"
            )
    return faults
