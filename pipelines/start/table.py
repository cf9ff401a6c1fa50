"""A table as somebody has it: one CSV or Parquet file, read in batches of little memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.pipelines.start.csv_form import CsvForm, open_bytes, read_form
from deepfeast.pipelines.start.names import plain_names
from deepfeast.transforms.errors import SourceEmpty, SourceError, SourceNotFound

MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "null", "NULL", "None", "-", "?", "#N/A")
BLOCK_BYTES = 1 << 23
MOST_LINES = 10_000
BATCH_ROWS, BATCH_ROWS_OF_BYTES = 8192, 128
PACKED = (".gz", ".bz2", ".zst")
EXCEL = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")


@dataclass
class Table:
    """One file of rows.

    Attributes
    ----------
    path : Path
    names : dict of str to str
        Of each column the plain name, and the one that it has in the file.
    form : CsvForm, optional
        How it is written, where it is a CSV: then all its cells are texts.
    left_out : int
        Rows that the last reading left out, for having another number of cells than the header.
    share : float
        How much of the file the reading in progress has read.
    """

    path: Path
    names: dict[str, str]
    form: CsvForm | None = None
    left_out: int = 0
    share: float = 0.0

    @property
    def title(self) -> str:
        """The name of the file without what it ends in."""
        return self.path.name.split(".")[0] or "table"

    def batches(self, skip: frozenset[str] = frozenset()) -> Iterator[pa.RecordBatch]:
        """Read the rows in order, a few thousand at a time, columns under their plain names.

        Parameters
        ----------
        skip : set of str
            Columns to leave unread, by plain name.

        Raises
        ------
        SourceError
            If the file cannot be read to its end.
        """
        read = self._csv() if self.form else self._parquet(skip)
        try:
            for batch in read:
                if skip & set(batch.schema.names):
                    batch = batch.select([n for n in batch.schema.names if n not in skip])
                yield batch
        except (pa.ArrowInvalid, OSError, UnicodeError) as error:
            raise SourceError(f"{self.path} cannot be read to its end: {_told(error)}") from None

    def _csv(self) -> Iterator[pa.RecordBatch]:
        from pyarrow import csv

        form = self.form
        assert form is not None
        self.left_out = 0
        names = list(self.names)
        endless: list[int] = []
        size, packed = max(1, self.path.stat().st_size), self.path.suffix in PACKED

        def other_length(row: Any) -> str:
            self.left_out += 1
            if (row.text or "").count("\n") > MOST_LINES:
                endless.append(row.number or 0)
            return "skip"

        read = csv.ReadOptions(
            encoding=form.encoding,
            column_names=names,
            skip_rows=form.blank,
            skip_rows_after_names=1,
            block_size=BLOCK_BYTES,
        )
        parse = csv.ParseOptions(
            delimiter=form.delimiter, newlines_in_values=True, invalid_row_handler=other_length
        )
        convert = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=list(MISSING),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )
        with (
            open_bytes(self.path) as file,
            csv.open_csv(
                file, parse_options=parse, read_options=read, convert_options=convert
            ) as blocks,
        ):
            for block in blocks:
                self._closed(block)
                if not packed:
                    self.share = min(1.0, file.tell() / size)
                yield block
        if endless:
            raise SourceError(
                f"{self.path}: a row goes on for more than {MOST_LINES:,} lines. Is a quote opened "
                f"and never closed?"
            )

    def _closed(self, block: pa.RecordBatch) -> None:
        """Refuse a cell that goes on for pages: somewhere a quote is never closed."""
        for name, column in zip(block.schema.names, block.columns, strict=True):
            lines = pc.max(pc.count_substring(column, "\n")).as_py() or 0
            if lines > MOST_LINES:
                raise SourceError(
                    f"{self.path}: a cell of {self.names[name]!r} has {lines:,} lines. Is a quote "
                    f"opened and never closed?"
                )

    def _parquet(self, skip: frozenset[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        names = list(self.names)
        with pq.ParquetFile(self.path) as file:
            wanted = [n for n in range(len(names)) if names[n] not in skip]
            once = len(set(file.schema_arrow.names)) == len(names)
            picked = [file.schema_arrow.names[n] for n in wanted] if once else None
            kinds = [file.schema_arrow.field(n).type for n in wanted]
            rows = BATCH_ROWS_OF_BYTES if any(map(_is_heavy, kinds)) else BATCH_ROWS
            done, every = 0, max(1, file.metadata.num_rows)
            for batch in file.iter_batches(batch_size=rows, columns=picked):
                done += batch.num_rows
                self.share = done / every
                kept = names if picked is None else [names[n] for n in wanted]
                yield pa.RecordBatch.from_arrays([_plain(c) for c in batch.columns], names=kept)

    def heavy(self) -> frozenset[str]:
        """Name the columns of bytes, which are not looked at as a whole."""
        if self.form:
            return frozenset()
        import pyarrow.parquet as pq

        schema = pq.read_schema(self.path)
        kinds = zip(self.names, schema.types, strict=True)
        return frozenset(name for name, kind in kinds if _is_heavy(kind))


def open_table(path: Path) -> Table:
    """Open one file: CSV or Parquet, told by what is in it.

    Raises
    ------
    SourceNotFound, SourceEmpty, SourceError
        If there is nothing, or something else.
    """
    path = Path(path)
    if not path.exists():
        raise SourceNotFound(f"no table at {path.resolve()}: give a CSV or Parquet file.")
    if not path.is_file():
        raise SourceError(f"{path} is no file: give one CSV or Parquet file.")
    if path.stat().st_size == 0:
        raise SourceEmpty(f"{path} is empty: expected a line of column names, and rows below it.")
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PAR1"):
        return Table(path, _named(_parquet_names(path), path))
    if path.suffix.lower() in EXCEL or start.startswith((b"\xd0\xcf\x11\xe0", b"PK\x03\x04")):
        raise SourceError(
            f"{path} is an Excel file or an archive. Save its sheet as CSV (in Excel: File, Save "
            f"as, CSV UTF-8), or in Python: pandas.read_excel({path.name!r}).to_csv("
            f"{path.with_suffix('.csv').name!r}, index=False)."
        )
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        raise SourceError(
            f"{path} is JSON: expected CSV or Parquet. In Python: pandas.read_json({path.name!r}, "
            f"lines=True).to_parquet({path.with_suffix('.parquet').name!r})."
        )
    form = read_form(path)
    return Table(path, _named(form.header, path), form)


def _named(names: list[str], path: Path) -> dict[str, str]:
    if not names:
        raise SourceEmpty(f"{path} has no columns.")
    return dict(zip(plain_names(names), names, strict=True))


def _parquet_names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is a damaged Parquet file: {_told(error)}") from None


def _is_heavy(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_heavy(kind.value_type)
    if pa.types.is_struct(kind):
        return any(_is_heavy(kind.field(n).type) for n in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _plain(column: pa.Array) -> pa.Array:
    """Take a column out of its dictionary, and texts of any width as texts."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    return column


def _told(error: Exception) -> str:
    """Write an error of Arrow in one line."""
    return " ".join(str(error).split())[:300]
