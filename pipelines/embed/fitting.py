"""The encoders of a run: fitted or restored, and the same ones that the table was made with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.cells.content import read_contents
from deepfeast.transforms.embeddings.state import state_path
from deepfeast.transforms.embeddings.tombstones import Tombstones, read_tombstones
from deepfeast.transforms.encoders import build_encoder
from deepfeast.transforms.encoders.column import open_reader
from deepfeast.transforms.errors import EncoderError, FingerprintMismatch
from deepfeast.transforms.features import DeepFeature
from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.fetch import fetch, local
from deepfeast.transforms.files.slices import Source, event_times, read_slice
from deepfeast.transforms.files.write import whole
from deepfeast.transforms.times import instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deepfeast.transforms.embeddings.table import EmbeddingTable
    from deepfeast.transforms.encoders import Encoder

# More contents make a PCA or a vocabulary hardly better, and take the memory of the driver.
FIT_ROWS = 20_000


def microseconds(moment: datetime) -> int:
    """Turn a datetime into microseconds since 1970; without a time zone, UTC is meant."""
    return instant(moment) // 1000


class RunEncoders:
    """The encoders of a view's features, for one run.

    Parameters
    ----------
    features : sequence of DeepFeature
    table : EmbeddingTable
    held : dict of str to str
        By feature, the fingerprint that the table's vectors have; empty without a table.
    folder : Path or BucketPath
        Where to keep what the run fits until it is published.
    rebuild : bool
        Fit anew, and let the fingerprints differ from the table's.

    Attributes
    ----------
    encoders, fingerprints, states, fits : dict by feature
        The encoders; once settled their fingerprints, the file of what was fitted or None, and
        what this run fitted on.
    forgotten : Tombstones or None
        Keys whose rows nothing is fitted on.
    """

    def __init__(
        self,
        features: Sequence[DeepFeature],
        table: EmbeddingTable,
        held: dict[str, str],
        folder: Place,
        rebuild: bool,
    ):
        self.features, self.table, self.held = features, table, held
        self.folder, self.rebuild = folder, rebuild
        self.encoders: dict[str, Encoder] = {f.name: build_encoder(f) for f in features}
        self.fingerprints: dict[str, str] = {}
        self.states: dict[str, Place | None] = dict.fromkeys(self.encoders)
        self.fits: dict[str, dict[str, Any]] = {}
        self.forgotten = read_tombstones(table.path)

    def settle(self, source: Source, until: datetime | None) -> None:
        """Fit or restore what is fitted, so that each encoder has its fingerprint.

        Parameters
        ----------
        source : Source
        until : datetime, optional
            What features that declare no ``fit_until`` are fitted up to.
        """
        for feature in self.features:
            encoder = self.encoders[feature.name]
            if encoder.has_state and not self._restore(feature, encoder):
                self._fit(feature, encoder, source, feature.horizon or until)
            self.fingerprints[feature.name] = encoder.fingerprint
        self._check_fingerprints()

    def _restore(self, feature: DeepFeature, encoder: Encoder) -> bool:
        """Load what an earlier run fitted, unless it is to be rebuilt."""
        path = state_path(self.table.path, self.held.get(feature.name, ""))
        if self.rebuild or not path.is_file():
            return False
        try:
            encoder.load_state(local(path))
        except EncoderError as error:
            raise self._mismatch(feature.name, str(error)) from error
        self.states[feature.name] = path
        return True

    def _fit(
        self, feature: DeepFeature, encoder: Encoder, source: Source, until: datetime | None
    ) -> None:
        """Fit on the first contents of the source that are old enough."""
        before = None if until is None else microseconds(until)
        contents = _old_contents(source, feature, encoder, before, self.forgotten)
        found = list(islice(contents, FIT_ROWS))
        if not found:
            raise EncoderError(
                f"nothing to fit {feature.encoder!r} of {feature.name!r} on: column "
                f"{feature.column!r} of source {source.name!r} is empty"
                f"{f' before {until}' if until else ''}."
            )
        times, values = zip(*found, strict=True)
        encoder.fit(values)
        path = self.folder / f"{encoder.fingerprint}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as aside:
            encoder.save_state(aside)
        self.states[feature.name] = path
        self.fits[feature.name] = {
            "rows": len(values),
            "until": before,
            "first": min(times),
            "last": max(times),
        }

    def held_by(self, fingerprint: str) -> list[str]:
        """Return the table's features whose vectors are of an encoder."""
        return [name for name, held in self.held.items() if held == fingerprint]

    def keep_fits(self) -> None:
        """Freeze beside the table what this run fitted, before the commit that needs it."""
        for path in self.folder.glob("*.safetensors"):
            kept = state_path(self.table.path, path.stem)
            kept.parent.mkdir(parents=True, exist_ok=True)
            with whole(kept) as aside:
                fetch(path, aside)

    def _check_fingerprints(self) -> None:
        """Refuse to mix vectors of different encoders in one version of the table."""
        if not self.held or self.rebuild:
            return
        for name, fingerprint in self.fingerprints.items():
            held = self.held.get(name)
            if held != fingerprint:
                what = f"was encoded as {held[:12]}…" if held else "is new to it"
                raise self._mismatch(name, f"it {what}, declared is {fingerprint[:12]}…")

    def _mismatch(self, feature: str, why: str) -> FingerprintMismatch:
        view = self.table.view
        return FingerprintMismatch(
            f"the table of view {view!r} cannot take feature {feature!r} as declared: {why}. "
            f"Either give the view a new name, or write a new version beside the old: "
            f"deepfeast embed {view} --rebuild"
        )


def _old_contents(
    source: Source,
    feature: DeepFeature,
    encoder: Encoder,
    before: int | None,
    forgotten: Tombstones | None,
) -> Iterator[tuple[int, Any]]:
    """Yield time and content of the rows that are old enough, in the order of the source."""
    reader = open_reader(feature, encoder, source.root)
    keys = forgotten.names if forgotten else ()
    columns = list(dict.fromkeys([source.timestamp, feature.column, *keys]))
    for part in source.slices:
        for _, batch in read_slice(part, columns):
            if forgotten:
                batch = batch.filter(pa.array(~forgotten.matches(batch)))
            times, _ = event_times(batch.column(0), source.timestamp, part.path)
            values = read_contents(batch.column(1), reader).values
            for time_, value in zip(times.cast(pa.int64()).to_pylist(), values, strict=True):
                if None not in (time_, value) and (before is None or time_ < before):
                    yield time_, value
