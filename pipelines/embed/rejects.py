"""The rejects of a run, row by row, and which of all runs' rejects still stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.embeddings.table import EmbeddingTable
from deepfeast.transforms.errors import TooManyRejects
from deepfeast.transforms.features import CREATED
from deepfeast.transforms.files.slices import EVENT_TIME

if TYPE_CHECKING:
    from deepfeast.pipelines.embed.plan import Planner

ABOUT = ("column", "feature", "reason", "message", "hash", "run_id", CREATED)


def gather_rejects(planner: Planner) -> pa.Table:
    """Collect the rejects of a run, one for each cell of a new row that has no vector for it.

    Workers encode each distinct content once and so reject it once; here every row that holds
    it gets its reject. Cells that could not be read are rejects only of rows that are new: those
    of old rows are on record already.
    """
    job, row = planner.job, ", ".join(planner.row)
    folder = job.folder / "rejects"
    same = " and ".join(f"fresh.{name} = bad.{name}" for name in planner.row)
    parts = [
        f"""select {row}, "column", feature, reason, message, null::blob as hash
        from read_parquet('{folder}/*-read.parquet') as bad
        where feature = '' or exists (from fresh where {same})"""
    ]
    encoded = f"{folder}/{job.run_id}-*.parquet"
    if any(folder.glob(f"{job.run_id}-*.parquet")):
        for features in planner.by_spill().values():
            names = ", ".join(f"'{feature.name}'" for feature in features)
            parts += [
                f"""select {row}, '{feature.column}', '{feature.name}', reason, message, hash
                from fresh join (
                    select hash, min(reason) as reason, min(message) as message
                    from read_parquet('{encoded}') where feature in ({names}) group by hash
                ) as bad on fresh."{feature.hash_column}" = bad.hash"""
                for feature in features
            ]
    found = planner.con.sql(f"{' union all '.join(parts)} order by all").to_arrow_table()
    place = found.schema.get_field_index(job.source.timestamp)
    return found.set_column(place, job.source.timestamp, found.column(place).cast(EVENT_TIME))


def by_reason(rejects: pa.Table, keys: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Count rejects by reason, with three examples each."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for reject in rejects.to_pylist():
        groups.setdefault(reject["reason"], []).append(reject)
    return {
        reason: {"count": len(rows), "examples": [_example(row, keys) for row in rows[:3]]}
        for reason, rows in sorted(groups.items())
    }


def _example(reject: dict[str, Any], keys: tuple[str, ...]) -> str:
    where = ", ".join(f"{key}={reject[key]}" for key in keys)
    return f"{where}, column {reject['column']!r}: {reject['message']}"


def judge(
    view: str, rejected: int, cells: int, reasons: dict[str, dict[str, Any]], allowed: float
) -> None:
    """Stop a run that rejects too much.

    Raises
    ------
    TooManyRejects
        If more than the allowed share was rejected.
    """
    share = rejected / max(1, cells)
    if share > allowed:
        worst = max(reasons, key=lambda reason: reasons[reason]["count"])
        raise TooManyRejects(
            f"{rejected} of {cells} contents of view {view!r} were rejected "
            f"({share:.1%}, allowed {allowed:.1%}); most often {worst}: "
            f"{reasons[worst]['examples'][0]}. Nothing was committed. Mend the source, or "
            f"allow more with --allowed-rejects."
        )


def standing_rejects(table: EmbeddingTable) -> pa.Table | None:
    """Return the rejects that still stand; None where there never was one.

    A reject stands while the latest row of its key and event time is the one that its run wrote:
    a later run that wrote the row anew has either a vector for it or a reject of its own. Rows
    that were left out for want of a key have no row; those of the newest run stand.
    """
    import duckdb

    rejects = table.read_rejects()
    if rejects is None:
        return None
    keys = [f'"{name}"' for name in rejects.column_names if name not in ABOUT]
    with duckdb.connect() as con:
        con.register("rejects", rejects)
        con.register("embedded", table.dataset(table.must_exist()))
        same = " and ".join(f"embedded.{key} = rejects.{key}" for key in keys)
        return con.sql(f"""
            select * from rejects
            where feature <> '' and {CREATED} = (
                select max(embedded.{CREATED}) from embedded where {same})
            or feature = '' and run_id = '{table.commits()[0].meta["run_id"]}'
            order by {CREATED} desc, {", ".join(keys)}, feature""").to_arrow_table()
