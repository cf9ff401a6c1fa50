"""Where the figures of ``feast monitor`` are kept: Delta tables in the repo, one a kind.

Saving appends; the row saved last stands for those of its key. So two who save at once lose
nothing, and none of them waits for the other.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.embeddings.delta import commit_files, named_files, open_delta
from deepfeast.transforms.files.write import whole

if TYPE_CHECKING:
    from feast import RepoConfig

KINDS = ("feature", "feature_view", "feature_service", "job")
SAVED = "saved"
# So many files of a few rows are written into one.
MOST_FILES = 32
HOURS = 24
ATTEMPTS = 5
_TYPES = {
    pa.date32(): ["metric_date"],
    pa.timestamp("us", "UTC"): [
        "computed_at",
        "max_event_timestamp",
        "started_at",
        "completed_at",
    ],
    pa.bool_(): ["is_baseline"],
    pa.int64(): [
        "row_count",
        "null_count",
        "total_row_count",
        "total_features",
        "total_feature_views",
        "features_with_nulls",
        SAVED,
    ],
    pa.float64(): [
        *("null_rate", "avg_null_rate", "max_null_rate", "mean", "stddev", "min_val", "max_val"),
        *("p50", "p75", "p90", "p95", "p99"),
    ],
}
_TYPE_OF = {name: kind for kind, names in _TYPES.items() for name in names}


class Record:
    """The figures of one kind.

    Parameters
    ----------
    config : RepoConfig
    kind : {"feature", "feature_view", "feature_service", "job"}
    """

    def __init__(self, config: RepoConfig, kind: str):
        from feast.monitoring.monitoring_utils import MONITORING_DIR, monitoring_table_meta

        name, columns, self.key = monitoring_table_meta(kind)
        self.path = Path(config.repo_path or ".") / MONITORING_DIR / name
        self.schema = pa.schema(
            [pa.field(one, _TYPE_OF.get(one, pa.string())) for one in [*columns, SAVED]]
        )

    def ensure(self) -> None:
        """Make the table where there is none."""
        if open_delta(str(self.path)) is None:
            self._append(self.schema.empty_table())

    def save(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows; a key of the table is a key of its columns in Feast."""
        saved = time.time_ns()
        made = [
            {name: _plain(row.get(name), name) for name in self.schema.names[:-1]} | {SAVED: saved}
            for row in rows
        ]
        self._append(pa.Table.from_pylist(made, schema=self.schema))
        self._compact()

    def rows(self) -> pa.Table:
        """Return the rows that stand."""
        table = open_delta(str(self.path))
        if table is None:
            return self.schema.empty_table()
        return self._standing(table.to_pyarrow_table().select(self.schema.names))

    def query(
        self,
        project: str,
        filters: Mapping[str, Any] | None = None,
        start: date | None = None,
        end: date | None = None,
    ) -> list[dict[str, Any]]:
        """Return rows as Feast shows them, the earliest date first.

        Parameters
        ----------
        project : str
            Of any project where empty.
        filters : mapping of str to object, optional
            What columns must be; None asks nothing.
        start, end : date, optional
            Of ``metric_date``, both included.
        """
        from feast.monitoring.monitoring_utils import normalize_monitoring_row

        wanted = {**(filters or {}), "project_id": project or None}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        found = [
            row
            for row in self.rows().drop_columns([SAVED]).to_pylist()
            if all(row[name] == value for name, value in wanted.items())
            and (start is None or row["metric_date"] >= start)
            and (end is None or row["metric_date"] <= end)
        ]
        by = "metric_date" if "job_id" not in self.schema.names else "job_id"
        return [normalize_monitoring_row(row) for row in sorted(found, key=lambda row: row[by])]

    def clear_baseline(self, wanted: Mapping[str, Any]) -> None:
        """Let rows be no baseline any more."""
        found = [
            {**row, "is_baseline": False}
            for row in self.rows().to_pylist()
            if row["is_baseline"]
            and all(row[name] == value for name, value in wanted.items() if value is not None)
        ]
        if found:
            self.save(found)

    def _standing(self, rows: pa.Table) -> pa.Table:
        """Return of each key the row that was saved last."""
        if not len(rows):
            return rows
        order = rows.append_column("row", pa.array(np.arange(len(rows)))).sort_by(SAVED)
        last = order.group_by(self.key, use_threads=False).aggregate([("row", "last")])
        return rows.take(last["row_last"].sort())

    def _append(self, rows: pa.Table, instead_of: Sequence[dict[str, Any]] = ()) -> None:
        from deltalake.exceptions import CommitFailedError, DeltaError

        parts = [self._write(rows)] if len(rows) else []
        for left in reversed(range(ATTEMPTS)):
            table = open_delta(str(self.path))
            try:
                commit_files(
                    str(self.path),
                    self.schema,
                    parts,
                    table=table,
                    instead_of=instead_of,
                    name="monitoring",
                )
                return
            except (CommitFailedError, DeltaError):  # somebody else has just made the table
                if not left:
                    raise

    def _write(self, rows: pa.Table) -> dict[str, Any]:
        import pyarrow.parquet as pq

        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / f"{uuid.uuid4().hex}.parquet"
        with whole(path) as aside:
            pq.write_table(rows, aside, compression="zstd")
        return {"path": path.name, "size": path.stat().st_size, "rows": len(rows)}

    def _compact(self) -> None:
        """Write many files into one; delete what was replaced a day ago."""
        table = open_delta(str(self.path))
        if table is None or len(files := named_files(table)) < MOST_FILES:
            return
        # Two who do so at once leave rows twice, which are one again when they are read.
        self._append(self._standing(table.to_pyarrow_table()), instead_of=files)
        table.vacuum(HOURS, dry_run=False, enforce_retention_duration=False)


def _plain(value: Any, name: str) -> Any:
    if name == "histogram" and value is not None and not isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, str) and name == "metric_date":
        return date.fromisoformat(value)
    return value
