"""Which files of a source the table has already, so that they are not read again.

Beside the table lies a note for the run that it stands at: of each file its stamp, its rows and
the latest time at which one was written. It is written before the commit that it is named after,
so that a run that never published leaves a note that nobody asks for; a rollback finds the note of
the run that it goes back to. A run that found nothing new writes the note of the run before anew.

A file is read again wherever its rows could now mean something else:

- it changed, or it was written so lately that its stamp tells nothing yet;
- the source, the view or deepfeast are others, keys are no longer forgotten, or all is to be read;
- a file went or changed, and some key and time has rows with different contents: one that was
  superseded may count again;
- a row of another file corrects one that the table has, and no created time says that it is later;
- rows of it were left out: they are rejects until the file is mended;
- it only names contents that lie elsewhere, such as photos. Then no note is written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.cells.content import TextReader
from deepfeast.transforms.files.csv import is_csv
from deepfeast.transforms.files.stamps import stamps
from deepfeast.transforms.files.write import whole

if TYPE_CHECKING:
    from deepfeast.transforms.embeddings.table import Commit, EmbeddingTable
    from deepfeast.transforms.encoders import Encoder
    from deepfeast.transforms.features import DeepFeature, DeepViewSpec


@dataclass(frozen=True)
class SeenFile:
    """A file whose rows are in the table.

    Attributes
    ----------
    stamp : str
    rows : int
    created : int or None
        When its latest row was written, in microseconds since 1970; None where no row says.
    """

    stamp: str
    rows: int
    created: int | None = None


@dataclass(frozen=True)
class Seen:
    """The files whose rows are in the table.

    Attributes
    ----------
    of : str
        Names what was read: see `digest`.
    torn : bool
        Whether some key and time may have rows with different contents.
    forgotten : int
        How many keys were.
    files : dict of str to SeenFile
        By `name_of` the path, since a path may name a person.
    """

    of: str
    torn: bool
    forgotten: int
    files: dict[str, SeenFile]


@dataclass
class Choice:
    """Chooses the files that a run reads; `open_source` asks it.

    Parameters
    ----------
    seen : Seen, optional
        None to read all.

    Attributes
    ----------
    read : list of str
        Paths of the files to read.
    kept : dict of str to SeenFile
        Those that need no reading, by path.
    stamps : dict of str to str
        By path, as they were before anything was read.
    """

    seen: Seen | None = None
    read: list[str] = field(default_factory=list)
    kept: dict[str, SeenFile] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)

    def __call__(self, filesystem: Any, paths: Sequence[str]) -> Collection[str]:
        """Return which of the paths are to be read."""
        self.stamps = stamps(filesystem, paths)
        known = self.seen.files if self.seen else {}
        self.kept = {
            path: known[name_of(path)]
            for path, stamp in self.stamps.items()
            if name_of(path) in known and known[name_of(path)].stamp == stamp
        }
        if self.seen and self.seen.torn and len(self.kept) < len(known):
            self.kept = {}
        self.read = [path for path in paths if path not in self.kept]
        if not self.read and is_csv(paths[0]):
            # Its columns are known once it is rewritten.
            self.read = [paths[0]]
            del self.kept[paths[0]]
        return self.read

    @property
    def rows(self) -> int:
        """Rows of the files that are not read."""
        return sum(file.rows for file in self.kept.values())

    @property
    def created(self) -> int | None:
        """When the latest row of the files that are not read was written."""
        times = [file.created for file in self.kept.values() if file.created is not None]
        return max(times, default=None)

    def path_of(self, path: str) -> str:
        """Return the path of a file that may have been rewritten: a CSV."""
        if path in self.stamps or not self.read or not is_csv(self.read[0]):
            return path
        return self.read[int(Path(path).stem.rpartition("-")[2])]

    def seen_now(
        self, of: str, torn: bool, forgotten: int, counts: Mapping[str, SeenFile], bad: set[str]
    ) -> Seen:
        """Return what the table has once the run is published.

        Parameters
        ----------
        counts : mapping of str to SeenFile
            By path, the files that were read and have rows; without stamps.
        bad : set of str
            Those of which rows were left out.
        """
        files = {name_of(path): file for path, file in self.kept.items()}
        for path in self.read:
            if path in self.stamps and path not in bad:
                found = counts.get(path, SeenFile("", 0))
                files[name_of(path)] = dataclasses.replace(found, stamp=self.stamps[path])
        return Seen(of, torn, forgotten, files)


def name_of(path: str) -> str:
    """Name a path by its hash."""
    return hashlib.blake2b(path.encode(), digest_size=12).hexdigest()


def digest(source: Any, spec: DeepViewSpec, types: Mapping[str, pa.DataType]) -> str:
    """Name what is read of a FileSource: if any of it changes, old files are news."""
    said = [
        source.path,
        type(source.file_format).__name__,
        source.s3_endpoint_override,
        [source.timestamp_field, source.created_timestamp_column, dict(source.field_mapping)],
        {name: str(type_) for name, type_ in types.items()},
        spec.to_tag(),
        version("deepfeast"),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def lies_inside(
    features: Sequence[DeepFeature], encoders: Mapping[str, Encoder], schema: pa.Schema
) -> bool:
    """Tell whether the source holds all contents itself, and not only their addresses."""
    return all(
        encoders[feature.name].reads is TextReader
        or _holds_bytes(schema.field(feature.column).type)
        for feature in features
    )


def _holds_bytes(type_: pa.DataType) -> bool:
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        type_ = type_.value_type
    return pa.types.is_binary(type_) or pa.types.is_large_binary(type_)


def read_seen(table: EmbeddingTable, run_id: str) -> Seen | None:
    """Return the files that the table had after a run; None where that is not known."""
    path = table.scratch / "seen" / f"{run_id}.json"
    if not path.is_file():
        return None
    said = json.loads(path.read_text())
    files = {name: SeenFile(*file) for name, file in said.pop("files").items()}
    return Seen(**said, files=files)


def write_seen(table: EmbeddingTable, run_id: str, seen: Seen, commits: Sequence[Commit]) -> None:
    """Note the files that the table has after a run; notes that no version stands at go.

    Parameters
    ----------
    commits : sequence of Commit
        Of the table before, newest first.
    """
    folder = table.scratch / "seen"
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: [file.stamp, file.rows, file.created] for name, file in seen.files.items()}
    with whole(folder / f"{run_id}.json") as path:
        path.write_text(json.dumps({**vars(seen), "files": files}))
    newest = {c.meta["generation"]: str(c.meta["run_id"]) for c in reversed(commits)}
    needed = {run_id, *newest.values(), *(str(c.meta["run_id"]) for c in commits[:1])}
    for note in folder.glob("*.json"):
        if note.stem not in needed:
            note.unlink(missing_ok=True)
