"""Keys that are to stay forgotten, though the source may still have them.

Beside the table lies a salted hash of each, and no key: enough to know one when it comes again.
Whoever has the hashes and the salt can try keys that they guess, so that neither is for everybody.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from deepfeast.transforms.embeddings.state import SCRATCH
from deepfeast.transforms.files.bucket import Place, at
from deepfeast.transforms.files.write import whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "forgotten.json"
BEGUN = "forgetting.json"


@dataclass(frozen=True)
class Tombstones:
    """The forgotten keys of a view, as hashes.

    Parameters
    ----------
    names : tuple of str
        The join keys, sorted.
    salt : str
        In hexadecimal.
    times : dict of str to str
        By hash, in hexadecimal, when it was forgotten: ISO 8601, in UTC.

    Examples
    --------
    >>> import pyarrow as pa
    >>> stones = Tombstones(("id",), "00").with_keys([("ann",)])
    >>> stones.matches(pa.table({"id": ["ann", "bob", None]})).tolist()
    [True, False, False]
    """

    names: tuple[str, ...]
    salt: str = field(default_factory=lambda: secrets.token_hex(16))
    times: dict[str, str] = field(default_factory=dict)

    def hash(self, key: Sequence[Any]) -> str:
        """Return the salted hash of a key: its parts in the order of the names."""
        text = "\0".join(map(as_text, key)).encode()
        return hashlib.blake2b(text, digest_size=16, key=bytes.fromhex(self.salt)).hexdigest()

    def hashes(self, rows: pa.Table | pa.RecordBatch) -> list[str | None]:
        """Return the hash of each row's key; None where a part of it is missing.

        Parameters
        ----------
        rows : Table or RecordBatch
            With the join keys among its columns.
        """
        columns = [rows.column(name).to_pylist() for name in self.names]
        keys = zip(*columns, strict=True)
        return [None if None in key else self.hash(key) for key in keys]

    def matches(self, rows: pa.Table | pa.RecordBatch) -> NDArray[np.bool_]:
        """Tell of each row whether its key is forgotten."""
        found = [one in self.times for one in self.hashes(rows)]
        return np.array(found, dtype=bool)

    def has(self, key: Mapping[str, Any]) -> bool:
        """Tell whether a key is forgotten, given its parts by name."""
        return self.hash([key[name] for name in self.names]) in self.times

    def with_keys(self, keys: Iterable[Sequence[Any]]) -> Tombstones:
        """Return these and further keys; what is forgotten already keeps its time."""
        now = datetime.now(timezone.utc).isoformat()
        more = {self.hash(key): now for key in keys}
        return dataclasses.replace(self, times={**more, **self.times})

    def write(self, table: str | Place) -> None:
        """Keep them beside an embedding table, in its folder `table`."""
        path = at(table) / SCRATCH / NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as aside:
            aside.write_text(json.dumps(dataclasses.asdict(self)))


def blank(cells: Any, rows: NDArray[np.bool_]) -> Any:
    """Make the cells of some rows of an Arrow array null.

    >>> import pyarrow as pa
    >>> blank(pa.array(["red", "blue"]), np.array([True, False])).to_pylist()
    [None, 'blue']
    """
    if not rows.any():
        return cells
    places = np.arange(len(cells))
    return cells.take(pa.array(places, mask=rows))


def read_tombstones(table: str | Place) -> Tombstones | None:
    """Return the forgotten keys of an embedding table; None where nothing was ever forgotten."""
    path = at(table) / SCRATCH / NAME
    if not path.is_file():
        return None
    kept = json.loads(path.read_text())
    return Tombstones(tuple(kept["names"]), kept["salt"], kept["times"])


def begun_forgetting(table: str | Place) -> Place:
    """Return the file that is there while keys are being forgotten, and after a kill."""
    return at(table) / SCRATCH / BEGUN


def as_text(value: Any) -> str:
    """Write a part of a key as text: the same for the number 5 of any width, and for ``"5"``.

    >>> as_text(5), as_text("5"), as_text(b"5")
    ('5', '5', '5')
    """
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
