"""Every error deepfeast raises on purpose, as one tree.

    DeepfeastError
    ├── SourceError               the raw table cannot be used
    │   ├── SourceNotFound        nothing at that path
    │   ├── SourceEmpty           a table without rows
    │   └── ColumnNotFound        a column is named that is not there
    ├── SpecError                 a declaration contradicts itself
    │   ├── EncoderNotFound       no encoder answers to that string
    │   └── FeatureNotFound       no view, service or feature of that name
    ├── EncoderError              an encoder cannot be loaded, or breaks its contract
    ├── WorkerError               an engine's workers did not begin, or its server does not answer
    │   └── WorkerLost            one of them went in the middle of its work
    ├── TableError                the embedding table refuses
    │   ├── DiskFull              no space is left
    │   ├── NotWritable           a folder or a lock is somebody else's
    │   ├── TableDamaged          its files are not as its log says
    │   ├── BucketError           an object store refuses, or does not answer
    │   ├── NeverEmbedded         the view has no embedding table yet
    │   ├── FingerprintMismatch   the table holds vectors of another encoder
    │   ├── TooManyRejects        a run rejected more than its allowed share
    │   └── RunInProgress         another run holds the view
    ├── SignatureMismatch         training and serving disagree
    │   └── HalfMaterialized      an online view is being written anew
    ├── JoinError                 labels that cannot be joined
    ├── LiftError                 a question about lift that has no answer
    ├── SearchError               a search that has no answer
    ├── DriftError                two windows of time that cannot be compared
    └── ExplainError              nothing that could be explained

A message says what was given, what was expected, and what to do. The command line
prints it as one line and ends with the class's exit code; see `EXIT_CODES`.

``Reject`` is no error of a job: it says of one value that it cannot be encoded.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

EXIT_CODES = {
    0: "done; also: nothing was new",
    1: "an unexpected fault; or a gate that does not hold: `doctor`, `drift`, `lift --require`",
    2: "usage: what was asked or declared cannot be",
    65: "bad data: it is damaged, not as declared, or too much of it was rejected",
    69: "something needed is unreachable: a source, an encoder's files, a server, space on a disk",
    75: "held by another run: try again",
    130: "interrupted by Ctrl-C; the line says what is kept",
    143: "terminated by SIGTERM; likewise",
}


class DeepfeastError(Exception):
    """The root: catch this to catch everything deepfeast raises on purpose.

    Attributes
    ----------
    exit_code : int
        What a command ends with, of `EXIT_CODES`.
    """

    exit_code: ClassVar[int] = 1


class SourceError(DeepfeastError):
    """The raw table cannot be used."""

    exit_code = 65


class SourceNotFound(SourceError):
    """There is nothing at the path of a source."""

    exit_code = 69


class SourceEmpty(SourceError):
    """A source has no rows."""


class ColumnNotFound(SourceError):
    """A column is named that the table does not have."""

    @classmethod
    def of(cls, column: str, table: str, present: Iterable[str]) -> ColumnNotFound:
        """Say which column of which table is missing, what it has, and the nearest name."""
        present = list(present)
        return cls(
            f"no column {column!r} in {table}. It has: {', '.join(present)}."
            f"{did_you_mean(column, present)}"
        )


class SpecError(DeepfeastError):
    """A declaration contradicts itself or the data."""

    exit_code = 2


class EncoderNotFound(SpecError):
    """No encoder answers to a string."""


class FeatureNotFound(SpecError):
    """The registry has no feature view, service or feature of a name."""


class EncoderError(DeepfeastError):
    """An encoder cannot be loaded, or breaks its contract."""

    exit_code = 69


class WorkerError(DeepfeastError):
    """The workers of an engine did not begin, or its job server does not answer."""

    exit_code = 69


class WorkerLost(WorkerError):
    """A worker went in the middle of its work."""


class TableError(DeepfeastError):
    """The embedding table refuses what was asked."""

    exit_code = 2


class DiskFull(TableError):
    """No space is left where a table or a run lies."""

    exit_code = 69


class NotWritable(TableError):
    """A process may not write where a table lies."""

    exit_code = 69


class TableDamaged(TableError):
    """Files of a table are missing, cut, or not as its log says."""

    exit_code = 65


class BucketError(TableError):
    """An object store refuses, does not answer, or is none that a table may lie in."""

    exit_code = 69


class NeverEmbedded(TableError):
    """A deep feature view has no embedding table yet."""


class FingerprintMismatch(TableError):
    """The table holds vectors of another encoder than the one declared."""


class TooManyRejects(TableError):
    """A run rejected a larger share of values than it may, and committed nothing."""

    exit_code = 65


class RunInProgress(TableError):
    """Another run holds the view."""

    exit_code = 75


class SignatureMismatch(DeepfeastError):
    """A model was trained on other columns or encoders than are served."""

    exit_code = 65


class HalfMaterialized(SignatureMismatch):
    """The rows of an online view are being written anew, or the run that did so was killed."""

    exit_code = 75


class JoinError(DeepfeastError):
    """Labels or entity rows that cannot be joined with features."""

    exit_code = 65


class LiftError(DeepfeastError):
    """A question about lift that the labels or the model cannot answer."""

    exit_code = 2


class SearchError(DeepfeastError):
    """A search that the query or the vectors give no answer to."""

    exit_code = 2


class DriftError(DeepfeastError):
    """Two windows of time that cannot be compared."""

    exit_code = 2


class ExplainError(DeepfeastError):
    """A vector that cannot be explained: no such key, nothing to leave out, or no probe."""

    exit_code = 2


class Reject(Exception):
    """One value that cannot be encoded: its row lives, its vector is null.

    Parameters
    ----------
    reason : str
        A short code to count by, e.g. ``"image_truncated"``.
    message : str
        What a person needs to mend the value.
    """

    def __init__(self, reason: str, message: str):
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known name, or nothing.

    >>> did_you_mean("descripton", ["title", "description"])
    " Did you mean 'description'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
