"""What can be told of one column from its cells."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.pipelines.start.convert import ISO, TAG, TIME_FORMATS, as_numbers, as_times

TRIED = 400
# A decimal comma or point, or a number in groups of three, decides how a column is read.
MOSTLY, MANY = 0.95, 0.8


@dataclass(frozen=True)
class Facts:
    """One column: its cells, and what they look like.

    Parameters
    ----------
    name : str
        Its plain name.
    cells : ChunkedArray of length n_seen
    decimal : {".", ","}
        How the file writes decimals, where a number could be read either way.
    """

    name: str
    cells: pa.ChunkedArray
    decimal: str = "."

    @functools.cached_property
    def known(self) -> pa.Array:
        """The cells that are not missing, nor blank."""
        cells = self.cells.drop_null().combine_chunks()
        if isinstance(cells, pa.ChunkedArray):
            cells = pa.concat_arrays(cells.chunks) if cells.num_chunks else pa.array([], cells.type)
        if self.is_string:
            cells = cells.filter(pc.not_equal(pc.utf8_trim_whitespace(cells), ""))
        return cells

    @property
    def is_string(self) -> bool:
        """Whether the cells are texts as far as the file says."""
        return pa.types.is_string(self.cells.type)

    @property
    def is_number_type(self) -> bool:
        """Whether the file says that the cells are numbers."""
        kind = self.cells.type
        return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)

    @property
    def is_flat(self) -> bool:
        """Whether cells are plain values, which can be counted."""
        kind = self.cells.type
        return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_null(kind))

    @functools.cached_property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(self.known.unique()) if self.is_flat else len(self.known)

    @property
    def missing(self) -> int:
        """How many cells are missing or blank."""
        return len(self.cells) - len(self.known)

    @property
    def unique(self) -> bool:
        """Whether no value stands twice, and none is missing."""
        return self.is_flat and not self.missing and self.distinct == len(self.known)

    @functools.cached_property
    def tried(self) -> pa.Array:
        """A few of the known cells, spread over all of them."""
        step = max(1, len(self.known) // TRIED)
        return self.known.take(pa.array(range(0, len(self.known), step), pa.int64()))

    @functools.cached_property
    def words(self) -> float:
        """Words of a cell, on average."""
        if not self.is_string or not len(self.tried):
            return 0.0
        return sum(len(cell.split()) for cell in self.tried.to_pylist()) / len(self.tried)

    @functools.cached_property
    def letters(self) -> float:
        """Letters of a cell, on average."""
        return (pc.mean(pc.utf8_length(self.known)).as_py() or 0.0) if self.is_string else 0.0

    @functools.cached_property
    def number_share(self) -> tuple[float, str]:
        """The share of the known cells that are numbers, and the decimal sign they are read by."""
        if self.is_number_type:
            return 1.0, "."
        if not self.is_string or not len(self.known):
            return 0.0, "."
        both = {sign: self._numbers(sign) for sign in ".,"}
        best = max(both, key=lambda sign: (both[sign], sign == self.decimal))
        return both[best], best

    def _numbers(self, sign: str) -> float:
        # Of numbers that are read either way, "1,234" in a file of decimal commas is 1.234.
        return 1 - as_numbers(self.known, sign).null_count / len(self.known)

    @functools.cached_property
    def numbers(self) -> pa.Array:
        """The known cells that are numbers, as such."""
        return as_numbers(self.known, self.number_share[1]).drop_null()

    @property
    def is_number(self) -> bool:
        """Whether all but a few cells are numbers."""
        return self.number_share[0] >= MOSTLY

    @property
    def is_whole(self) -> bool:
        """Whether its numbers have no decimals."""
        return bool(pc.all(pc.equal(pc.floor(self.numbers), self.numbers)).as_py())

    @functools.cached_property
    def time_format(self) -> str | None:
        """How its times are written; None where they are none."""
        kind = self.cells.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return ISO
        if not self.is_string or not len(self.tried) or self.is_number:
            return None
        dated = sum(bool(re.match(r"\s*[\w.,/: +-]{6,35}\s*$", c)) for c in self.tried.to_pylist())
        if dated < MOSTLY * len(self.tried):
            return None
        for form in TIME_FORMATS:
            if as_times(self.tried, form).null_count <= (1 - MOSTLY) * len(self.tried):
                return form
        return None

    @property
    def is_code(self) -> bool:
        """Whether cells are short and without a space, as ids are."""
        if self.is_number_type:
            return pa.types.is_integer(self.cells.type)
        if not self.is_string or not len(self.known):
            return False
        spaced = pc.sum(pc.match_substring_regex(self.known, r"\s")).as_py() or 0
        return spaced <= 0.01 * len(self.known) and self.letters <= 64

    @functools.cached_property
    def whole_ids(self) -> bool:
        """Whether ids are whole numbers, written as numbers are."""
        if self.is_number_type:
            return True
        good = pc.match_substring_regex(self.known, r"^(0|-?[1-9]\d{0,17})$")
        return bool(len(self.known)) and bool(pc.all(good).as_py())

    @functools.cached_property
    def tagged(self) -> float:
        """The share of texts with HTML in them."""
        if not self.is_string or not len(self.tried):
            return 0.0
        return sum(bool(TAG.search(cell)) for cell in self.tried.to_pylist()) / len(self.tried)
