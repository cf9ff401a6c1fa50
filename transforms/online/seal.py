"""What the online store says that a deep view's rows were made with: its seal.

A seal lies in the store itself, beside the rows, under a key that no entity has. It is broken
before the first row of other encoders is written, and whole again after the last; so whoever reads
it with the rows knows what they are, on any machine.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.errors import HalfMaterialized, RunInProgress, SignatureMismatch

if TYPE_CHECKING:
    from deepfeast.transforms.embeddings.commit import Commit

SEAL_FEATURE = "_deepfeast_seal"


def _new_epoch() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Seal:
    """What a view's rows in an online store were made with.

    Attributes
    ----------
    fingerprints : dict of str to str
        Of the encoder of each feature.
    generation : int
        Of the embedding table.
    version : int
        Of the Delta table, when its rows were last brought online.
    created : int
        Rows of the table created later are not online; microseconds since 1970.
    columns : dict of str to list
        Of each feature the raw column, the photos' folder and the pooling.
    epoch : str
        A new one whenever the view is written from scratch.
    complete : bool
        False from before the first row of an epoch is written until after the last.
    """

    fingerprints: dict[str, str]
    generation: int
    version: int
    created: int
    columns: dict[str, list[Any]]
    epoch: str = field(default_factory=_new_epoch)
    complete: bool = True

    @classmethod
    def of(cls, commit: Commit) -> Seal:
        """Return the seal of what an embedding table holds as of a commit, with a new epoch."""
        meta = commit.meta
        features = json.loads(meta["spec"])["features"]
        columns = {f["name"]: [f["column"], f["root"], f["pool"]] for f in features}
        return cls(
            meta["fingerprints"], meta["generation"], commit.version, meta["created"], columns
        )

    @classmethod
    def from_bytes(cls, value: bytes | None) -> Seal | None:
        """Read what `to_bytes` wrote; None where there is none.

        >>> seal = Seal({"vec": "f1"}, 1, 0, 0, {"vec": ["title", None, "mean"]})
        >>> Seal.from_bytes(seal.to_bytes()) == seal
        True
        """
        from feast.protos.feast.types.Value_pb2 import Value

        if not value:
            return None
        return cls(**json.loads(Value.FromString(value).string_val))

    def to_bytes(self) -> bytes:
        """Write the seal as the bytes of a ``Value``, as any feature is kept."""
        from feast.protos.feast.types.Value_pb2 import Value

        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return Value(string_val=text).SerializeToString()

    def broken(self) -> Seal:
        """Return the seal as it is while rows are written."""
        return dataclasses.replace(self, complete=False)

    def spoilt(self) -> Seal:
        """Return the broken seal of an epoch that nobody is writing."""
        return dataclasses.replace(self, epoch=_new_epoch(), complete=False)

    def renewed(self) -> Seal:
        """Return the seal of the same rows in a new epoch: who writes in the old one stops."""
        return dataclasses.replace(self, epoch=_new_epoch())

    def holds(self, table: Seal) -> bool:
        """Tell whether every row is of the table's version, though some may not be online yet."""
        same = ("fingerprints", "generation", "columns")
        return self.complete and all(getattr(self, n) == getattr(table, n) for n in same)


def judge_seal(seal: Seal | None, table: Seal) -> str:
    """Say what is wrong with a view's online rows; empty where they are of its table's version.

    Parameters
    ----------
    seal : Seal or None
        None where the store says nothing.
    table : Seal
        Of what the table holds.

    Examples
    --------
    >>> old, new = (Seal({"vec": "f"}, n, n, n, {}) for n in (1, 2))
    >>> judge_seal(old, new)
    'its online rows are of version 1 of its table, which is at 2'
    >>> judge_seal(old.broken(), old)
    'its online rows were left half written, or are being written anew'
    """
    if seal is None:
        return "the online store does not say what its rows were made with"
    if not seal.complete:
        return "its online rows were left half written, or are being written anew"
    if seal.holds(table):
        return ""
    if seal.generation == table.generation:
        return "its online rows are of another declaration than its table"
    return (
        f"its online rows are of version {seal.generation} of its table, which is at "
        f"{table.generation}"
    )


def check_seal(
    view: str, seal: Seal | None, expected: Mapping[str, str | None] | None = None
) -> None:
    """Refuse rows that are a mixture, or not what a model was trained on.

    Parameters
    ----------
    view : str
    seal : Seal or None
        None where the store says nothing.
    expected : mapping of str to (str or None), optional
        Fingerprint by feature; by default any will do.

    Raises
    ------
    HalfMaterialized
        If the rows are being written, or a materialization of them was killed.
    SignatureMismatch
        If they were made with other encoders, or nobody knows.
    """
    mend = "feast materialize-incremental $(date -u +%Y-%m-%dT%H:%M:%S)"
    if seal is not None and not seal.complete:
        raise HalfMaterialized(
            f"the online rows of view {view!r} are being written anew, or the process that did so "
            f"was killed: some are missing. Wait until it ends, or run: {mend} --views {view}"
        )
    for feature, trained in (expected or {}).items():
        now = seal.fingerprints.get(feature) if seal else None
        if seal is None or now is None:
            raise SignatureMismatch(
                f"nobody knows which encoder the online rows of {view}:{feature} were made with: "
                f"they were never materialized, or by an engine that does not say so. Set "
                f"batch_engine.type to deepfeast.pipelines.engine.BeamEngine and run: {mend} "
                f"--views {view}"
            )
        if now != trained:
            raise SignatureMismatch(
                f"{view}:{feature} was computed by encoder {_short(trained)} when the model was "
                f"trained, and by {_short(now)} in the online store: equal columns, other numbers. "
                f"Train again; or, where the embedding table holds the model's vectors, run: "
                f"{mend} --views {view}"
            )


def check_seals(
    view: str, seals: Sequence[bytes | None], expected: Mapping[str, str | None] | None = None
) -> Seal | None:
    """Refuse rows that were read under some seals, unless all of them are what is expected.

    Parameters
    ----------
    seals : sequence of (bytes or None)
        As the store keeps them, read with the rows or before and after.

    Returns
    -------
    Seal or None
        What the rows were made with; None where the store says nothing.

    Raises
    ------
    HalfMaterialized, SignatureMismatch
        As `check_seal`; also if the rows were begun anew while they were read.
    """
    read = [Seal.from_bytes(value) for value in seals]
    for seal in read:
        check_seal(view, seal, expected)
    if len({seal and seal.epoch for seal in read}) > 1:
        raise HalfMaterialized(
            f"the online rows of view {view!r} were written anew while they were read. Ask again."
        )
    return read[-1]


def check_epoch(view: str, seal: Seal | None, epoch: str) -> None:
    """Refuse to write rows of an epoch that is over.

    Raises
    ------
    RunInProgress
        If somebody began to write the view anew meanwhile.
    """
    if seal is None or seal.epoch != epoch:
        raise RunInProgress(
            f"the online rows of view {view!r} were begun anew by another run while this one "
            f"worked, so that no more of this one is written. Wait until the other ends; then run "
            f"again what is still needed."
        )


def _short(fingerprint: str | None) -> str:
    return f"{fingerprint[:12]}…" if fingerprint else "none (never embedded)"
