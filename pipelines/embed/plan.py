"""What a run has to do: the rows that are new, and the contents that are nowhere yet.

The plan is relational, so DuckDB makes it, out of keys and hashes alone: it reads neither texts
nor photos nor vectors, and spills to disk under its memory limit. To look 20,000 contents up
among two million hashes takes two seconds and 354 MiB beyond what the process had before, 256 of
them DuckDB's (tests/pipelines/embed/test_plan.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from deepfeast.pipelines.embed.stages import Job, write_vectors
from deepfeast.transforms.arrow import vectors_to_matrix
from deepfeast.transforms.cells.content import HASH_TYPE
from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.features import CREATED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PART_ROWS = 16_384
# DuckDB spills what does not fit: a run of a million rows takes as little as one of ten thousand.
MEMORY_LIMIT = "256MB"


class Planner:
    """A DuckDB session over the hashes of a run.

    Parameters
    ----------
    job : Job
    table : Dataset, optional
        The embedding table as it stands; None where there is none yet.
    """

    def __init__(self, job: Job, table: ds.Dataset | None):
        import duckdb

        self.job = job
        self.table = table
        self.con: DuckDBPyConnection = duckdb.connect()
        self.con.execute(f"set memory_limit = '{MEMORY_LIMIT}'")
        self.con.execute(f"set temp_directory = '{job.folder / 'duckdb'}'")
        self.row = [_quote(name) for name in (*job.keys, job.source.timestamp)]
        self.hashes = [_quote(feature.hash_column) for feature in job.features]

    def close(self) -> None:
        """End the session."""
        self.con.close()

    def find_rows(self, rebuild: bool) -> tuple[int, int]:
        """Find the rows that are new; return their number and that of their contents.

        Raises
        ------
        SourceError
            If two rows of the source have one key and event time but different contents, and
            no created timestamp says which is later.
        """
        row, hashes = ", ".join(self.row), ", ".join(self.hashes)
        self.con.execute(
            f"create view hashed as from read_parquet('{self.job.folder}/hashes/*.parquet')"
        )
        repeated = self.con.execute(
            f"select 1 from hashed group by {row} having count(*) > 1 limit 1"
        ).fetchall()
        if repeated:
            self._refuse_contradictions(row, hashes)
        # Sorting rows by key is dear, and few sources repeat a key and time at all.
        once = f"""qualify row_number() over (
            partition by {row} order by source_created desc nulls last, slice, "row") = 1"""
        self.con.execute(
            f"create table fresh as select * exclude (source_created) from hashed "
            f"{once if repeated else ''}"
        )
        if self.table is not None and not rebuild:
            self._drop_unchanged(row, hashes)
        counts = " + ".join(f"count({name})" for name in self.hashes)
        found = self.con.sql(f"select count(*), {counts} from fresh").fetchall()[0]
        return int(found[0]), int(found[1])

    def _refuse_contradictions(self, row: str, hashes: str) -> None:
        """Refuse rows that contradict each other: nobody can say which one was true."""
        twice = self.con.execute(f"""
            with latest as (
                select *, rank() over (
                    partition by {row} order by source_created desc nulls last) as age
                from hashed)
            select {row} from latest where age = 1
            group by {row} having count(distinct ({hashes},)) > 1
            order by {row} limit 3""").fetchall()
        if twice:
            shown = "; ".join(", ".join(str(value) for value in found) for found in twice)
            raise SourceError(
                f"source {self.job.source.name!r} has rows of one key and event time but different "
                f"contents, and no created timestamp says which is later: {shown}. Give the source "
                f"a created_timestamp_column, or remove one of the rows."
            )

    def _drop_unchanged(self, row: str, hashes: str) -> None:
        """Drop rows that are in the table as they are now.

        Only the latest version of a row counts: a text that went from A to B and back is news.
        """
        self.con.register("embedded", self.table)
        same = " and ".join(
            f"fresh.{name} is not distinct from latest.{name}" for name in (*self.row, *self.hashes)
        )
        self.con.execute(f"""
            create temp table latest as select {row}, {hashes} from embedded
            qualify row_number() over (partition by {row} order by {CREATED} desc) = 1""")
        self.con.execute(f"""
            create or replace table fresh as
            select fresh.* from fresh where not exists (from latest where {same})""")
        self.con.execute("drop table latest")

    def find_contents(self, known: dict[str, str]) -> dict[str, tuple[str, int]]:
        """Find the contents to encode.

        Parameters
        ----------
        known : dict of str to str
            By feature of the table, the spill folder of the fingerprint its vectors have.

        Returns
        -------
        todo : dict of str to (str, int)
            By feature, the file that lists the rows to encode, and their number.
        """
        todo: dict[str, tuple[str, int]] = {}
        for number, (spill, features) in enumerate(self.by_spill().items()):
            union = " union all ".join(
                f"""select {", ".join(self.row)}, slice, "row", {_quote(f.hash_column)} as hash,
                '{f.name}' as feature from fresh where {_quote(f.hash_column)} is not null"""
                for f in features
            )
            self.con.execute(f"""
                create table contents_{number} as select * from ({union})
                qualify row_number() over (partition by hash order by feature, slice, "row") = 1""")
            self._drop_spilled(number, spill)
            self._reuse(number, spill, [name for name, where in known.items() if where == spill])
            self._drop_spilled(number, spill)
            for feature in features:
                todo |= self._write_todo(number, feature.name)
            self.con.execute(f"drop table contents_{number}")
        return todo

    def by_spill(self) -> dict[str, list[Any]]:
        """Group the features by fingerprint: they share their vectors."""
        groups: dict[str, list[Any]] = {}
        for feature in self.job.features:
            groups.setdefault(self.job.spills[feature.name], []).append(feature)
        return groups

    def _drop_spilled(self, number: int, spill: str) -> None:
        if any(Path(spill).glob("*.parquet")):
            self.con.execute(f"""
                delete from contents_{number}
                where hash in (select hash from read_parquet('{spill}/*.parquet'))""")

    def _reuse(self, number: int, spill: str, columns: Sequence[str]) -> None:
        """Copy vectors that the table has already to the spill, a file of the table at a time."""
        if self.table is None or not self._count(f"contents_{number}"):
            return
        wanted = self.con.sql(f"select hash from contents_{number}").to_arrow_table()["hash"]
        wanted = wanted.cast(HASH_TYPE).combine_chunks()
        for column in columns:
            for index, fragment in enumerate(self.table.get_fragments()):
                found = _vectors_of(fragment, column, wanted)
                if len(found):
                    stem = f"{self.job.run_id}-reused-{column}-{index:06d}"
                    matrix = vectors_to_matrix(found[column])
                    write_vectors(Path(spill), stem, found["hash"], matrix)
                    wanted = wanted.filter(
                        pc.invert(pc.is_in(wanted, found["hash"].combine_chunks()))
                    )

    def _write_todo(self, number: int, feature: str) -> dict[str, tuple[str, int]]:
        path = self.job.folder / "todo" / f"{feature}.parquet"
        query = f"""select * exclude (feature) from contents_{number}
                    where feature = '{feature}' order by slice, "row\""""
        self.con.execute(f"copy ({query}) to '{path}' (format parquet, row_group_size 8192)")
        count = self._count(f"'{path}'")
        return {feature: (str(path), count)} if count else {}

    def _count(self, table: str) -> int:
        return int(self.con.sql(f"select count(*) from {table}").fetchall()[0][0])

    def locate(self) -> list[str]:
        """Write the new rows out in parts, each saying where its vectors lie; return the files."""
        columns, joins = ["fresh.*"], []
        self.files: list[str] = []
        for number, (spill, features) in enumerate(self.by_spill().items()):
            self.con.execute(f"""
                create table vectors_{number} as {self._index(spill)}""")
            for feature in features:
                name = _quote(f"v_{feature.name}")
                columns += [
                    f"({name}.place >> 32)::int as {_quote(feature.name + '_file')}",
                    f"({name}.place & 4294967295)::int as {_quote(feature.name + '_position')}",
                ]
                joins.append(
                    f"left join vectors_{number} as {name} "
                    f"on fresh.{_quote(feature.hash_column)} = {name}.hash"
                )
        # Sorted, so that two runs write identical files and vectors are gathered in order.
        result = self.con.sql(
            f'select {", ".join(columns)} from fresh {" ".join(joins)} order by slice, "row"'
        )
        return self._write_parts(result.to_arrow_reader(PART_ROWS))

    def _index(self, spill: str) -> str:
        """Select where each vector lies: the number of a file, and the position within, as one."""
        files = sorted(map(str, Path(spill).glob("*.parquet")))
        if not files:
            return "select null::blob as hash, 0::bigint as place where false"
        first = len(self.files)
        self.files += files
        # Numbers, since a path for each of millions of hashes would fill the memory.
        return f"""
            select hash, min(((file_index + {first})::bigint << 32) + position) as place
            from read_parquet({files}) group by hash"""

    def _write_parts(self, batches: pa.RecordBatchReader) -> list[str]:
        import pyarrow.parquet as pq

        paths: list[str] = []
        for rows in _regroup(batches, PART_ROWS):
            path = self.job.folder / "rows" / f"{len(paths):06d}.parquet"
            for feature in self.job.features:
                name = f"{feature.name}_file"
                place = rows.schema.get_field_index(name)
                numbers = rows[name].combine_chunks()
                named = pa.DictionaryArray.from_arrays(numbers, pa.array(self.files, pa.string()))
                rows = rows.set_column(place, name, named)
            pq.write_table(rows, path)
            paths.append(str(path))
        return paths


def _regroup(batches: pa.RecordBatchReader, rows: int) -> Any:
    """Join batches of any size to tables of `rows` rows."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        while sum(len(part) for part in held) >= rows:
            table = pa.Table.from_batches(held)
            yield table.slice(0, rows)
            held = table.slice(rows).to_batches()
    if sum(len(part) for part in held):
        yield pa.Table.from_batches(held)


def _vectors_of(fragment: ds.Fragment, column: str, wanted: pa.Array) -> pa.Table:
    """Return the vectors of a data file whose hashes are wanted, each once."""
    name = f"{column}_hash"
    hashes = fragment.to_table(columns=[name])[name].cast(HASH_TYPE).combine_chunks()
    rows = np.flatnonzero(pc.is_in(hashes, wanted).to_numpy(zero_copy_only=False))
    empty = pa.table(
        {"hash": pa.array([], HASH_TYPE), column: pa.array([], pa.list_(pa.float32()))}
    )
    if not len(rows):
        return empty
    table = fragment.to_table(columns=[column]).take(rows)
    table = table.append_column("hash", hashes.take(pa.array(rows)))
    table = table.filter(pc.is_valid(table[column]))
    _, first = np.unique(np.asarray(table["hash"].to_pylist(), dtype="S16"), return_index=True)
    return table.take(np.sort(first)) if len(table) else empty


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
