"""What a run hands to its embedding table: data files, rejects, and what the commit says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.transforms.errors import DeepfeastError
from deepfeast.transforms.features import CREATED
from deepfeast.transforms.files.slices import EVENT_TIME

if TYPE_CHECKING:
    from deepfeast.pipelines.embed.job import Run
    from deepfeast.transforms.embeddings.commit import Commit

LIBRARIES = ("apache-beam", "deltalake", "feast", "numpy", "pyarrow", "torch")
COUNTS = ("source_rows", "rows", "encoded", "reused", "missing", "rejected")


def data_files(parts: Sequence[Mapping[str, Any]], run_id: str, rows: int) -> list[dict[str, Any]]:
    """Name the data files of a run as the table does, once all of its rows are there.

    Parameters
    ----------
    parts : sequence of mapping
        ``path`` within the run's folder, ``size``, ``rows``.
    rows : int
        Rows that were planned.

    Raises
    ------
    DeepfeastError
        If the runner lost rows.

    Examples
    --------
    >>> data_files([{"path": "a.parquet", "size": 9, "rows": 2}], "run-1", 2)[0]["path"]
    'run-1/a.parquet'
    """
    written = sum(part["rows"] for part in parts)
    if written != rows:
        raise DeepfeastError(
            f"the runner wrote {written} rows where {rows} were planned; nothing was "
            f"committed. Some runners lose data: run again with --runner=FnApiRunner."
        )
    return [{**part, "path": f"{run_id}/{part['path']}"} for part in parts]


def missing_cells(parts: Sequence[Mapping[str, Any]], rejects: pa.Table) -> int:
    """Count the cells without content: those without a vector that are no rejects.

    Parameters
    ----------
    parts : sequence of mapping
        ``missing``: by feature, the cells without a vector.
    rejects : Table
        With a column ``feature``: empty for a row that was left out for want of a key, so that it
        has no cell.
    """
    empty = sum(sum(part["missing"].values()) for part in parts)
    return empty - len(rejects.filter(pc.not_equal(rejects["feature"], "")))


def stamped(rejects: pa.Table, run_id: str, created: int) -> pa.Table:
    """Say of rejects which run they are of, and when it was (microseconds since 1970)."""
    runs = pa.array([run_id] * len(rejects), pa.string())
    times = pa.array([created] * len(rejects), pa.int64()).cast(EVENT_TIME)
    return rejects.append_column("run_id", runs).append_column(CREATED, times)


def metadata(
    run: Run,
    created: int,
    spec: str,
    encoders: Mapping[str, Any],
    fingerprints: Mapping[str, str],
    fits: Mapping[str, Any],
    commits: Sequence[Commit],
    rebuild: bool,
    read: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Say what a commit says of its run.

    Parameters
    ----------
    spec : str
        Tag of the view.
    encoders, fingerprints, fits : mapping by feature
        Engines and counts, the encoders' fingerprints, what this run fitted on.
    commits : sequence of Commit
        Of the table before, newest first: a rebuild is a generation more than any of them, another
        run is of the current one and keeps its fits.
    read : mapping, optional
        Up to when the source of a warehouse was read.
    """
    current: dict[str, Any] = commits[0].meta if commits else {"generation": 1, "fits": {}}
    newest = max((commit.meta["generation"] for commit in commits), default=0)
    return {
        "run_id": run.run_id,
        "created": created,
        "generation": newest + 1 if rebuild else current["generation"],
        "fingerprints": dict(fingerprints),
        "fits": {**({} if rebuild else current.get("fits", {})), **fits},
        "spec": spec,
        "counts": {name: getattr(run, name) for name in COUNTS},
        "encoders": dict(encoders),
        "versions": {name: version(name) for name in LIBRARIES},
        **({"read": dict(read)} if read else {}),
    }
