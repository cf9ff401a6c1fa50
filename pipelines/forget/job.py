"""Forget keys: in all versions of the table, its rejects, leftovers, caches, and online.

What is to be done is written down first and each step finds for itself what is left to do, so that
a call that is killed anywhere is finished by the next. The keys stand in that note as long as it
takes, and in no other file.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.forget.certificate import Certificate, Remains, copies
from deepfeast.pipelines.forget.keys import Key, read_keys, typed
from deepfeast.transforms.embeddings.erase import Traces, erase_rows, find_traces
from deepfeast.transforms.embeddings.rejects import erase_rejects, reject_hashes
from deepfeast.transforms.embeddings.state import fits_of, state_path
from deepfeast.transforms.embeddings.table import EmbeddingTable, embedding_table
from deepfeast.transforms.embeddings.tombstones import (
    Tombstones,
    begun_forgetting,
    read_tombstones,
)
from deepfeast.transforms.embeddings.versions import list_versions
from deepfeast.transforms.errors import JoinError, SourceError, SpecError
from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.csv import raw_types
from deepfeast.transforms.files.slices import Source, open_source, read_slice
from deepfeast.transforms.files.write import whole
from deepfeast.transforms.monitoring.record import Record
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.views import find_deep_view
from deepfeast.transforms.warehouse.open import lies_in_files
from deepfeast.transforms.warehouse.raw import Wanted, read_raw

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from deepfeast.transforms.features import DeepViewSpec
    from deepfeast.transforms.online.table import OnlineTable

CACHE = re.compile(r"[0-9a-f]{16}-[0-9a-f]{16}\.npy")
BATCH_ROWS = 65_536


def forget(
    store: FeatureStore,
    view: str,
    keys: Path | None = None,
    *,
    reports: Sequence[Path] = (),
    allow_unknown: bool = False,
) -> Certificate:
    """Remove some keys from everything that deepfeast keeps of a view.

    Parameters
    ----------
    store : FeatureStore
    view : str
        Name of a deep feature view.
    keys : Path, optional
        A CSV with the join keys; by default a call that was killed is finished.
    reports : sequence of Path
        Folders outside of the repo that `deepfeast lift` wrote to.
    allow_unknown : bool
        Keys that are found nowhere are to stay out of later runs, too.

    Returns
    -------
    Certificate
        It also lies beside the table.

    Raises
    ------
    FeatureNotFound, SpecError
        If there is no such view, its rows have no key, or there is nothing to do.
    SourceNotFound, ColumnNotFound, JoinError
        If the keys are not as they should be, or some are found nowhere. Nothing has changed then.
    RunInProgress
        If a run holds the view.
    TableDamaged
        If the table is damaged. Nothing has changed then.
    """
    feature_view, spec = find_deep_view(store, view)
    table = embedding_table(store, feature_view)
    types = dict(sorted(raw_types(feature_view, ()).items()))
    if not types:
        raise SpecError(f"the rows of view {view!r} have no key that could be forgotten.")
    given = read_keys(keys, types) if keys else {}
    fresh = not table.path.exists()
    try:
        table.open()
        with table.held("forget"):
            note = begun_forgetting(table.uri)
            if not (given or note.is_file()):
                raise SpecError(
                    f"no keys, and no call for view {view!r} was left unfinished. Give --keys."
                )
            job = Forgetting(store, feature_view, spec, table, list(reports))
            if note.is_file():
                done = job.finish(Note(**json.loads(note.read_text())))
                given = {key: line for key, line in given.items() if key not in job.keys}
            if given:
                done = job.finish(job.begin(given, keys, allow_unknown))
    except BaseException as error:
        if fresh:
            table.forget_beginnings()
        if isinstance(error, KeyboardInterrupt) and begun_forgetting(table.uri).is_file():
            error.add_note(f"Some is done; the rest is by the next deepfeast forget {view}.")
        raise
    return done


@dataclass
class Note:
    """What was begun: the keys, and how much of each place was found when it was.

    Attributes
    ----------
    begun : str
    keys : list of list of str
    unknown : int
    sourced : int or None
        Rows of the raw source; None where it could not be read.
    rows : dict of str to int
        Of the embedding table, by number of a version.
    rejects, online : int
    caches : list of str
    first, last : str or None
        The earliest and latest event time among the rows.
    """

    begun: str
    keys: list[list[str]]
    unknown: int = 0
    sourced: int | None = None
    rows: dict[str, int] = field(default_factory=dict)
    rejects: int = 0
    online: int = 0
    caches: list[str] = field(default_factory=list)
    first: str | None = None
    last: str | None = None

    def add(self, traces: Traces, rejects: int, online: int, caches: Sequence[Path]) -> None:
        """Note what was found; a call that goes on finds less than the first."""
        for number, count in traces.rows.items():
            self.rows[str(number)] = max(count, self.rows.get(str(number), 0))
        self.rejects, self.online = max(rejects, self.rejects), max(online, self.online)
        self.caches = sorted({*self.caches, *map(str, caches)})
        if traces.first and traces.last and not self.first:
            self.first, self.last = traces.first.isoformat(), traces.last.isoformat()

    def write(self, path: Place) -> None:
        """Keep it while the keys are being forgotten."""
        with whole(path) as aside:
            aside.write_text(json.dumps(vars(self)))


class Forgetting:
    """Forgets keys of one view, for one who holds its table."""

    def __init__(
        self,
        store: FeatureStore,
        view: FeatureView,
        spec: DeepViewSpec,
        table: EmbeddingTable,
        reports: list[Path],
    ):
        self.store, self.view, self.spec = store, view, spec
        self.table, self.reports = table, reports
        self.types = dict(sorted(raw_types(view, ()).items()))
        self.keys: set[Key] = set()
        self.stones = read_tombstones(table.uri) or Tombstones(tuple(self.types))
        if self.stones.names != tuple(self.types):
            raise SpecError(
                f"keys of view {view.name!r} were forgotten by {', '.join(self.stones.names)}, and "
                f"its join keys are {', '.join(self.types)} now. Declare those keys again, or give "
                f"the view a new name."
            )

    def begin(self, keys: dict[Key, int], path: Path | None, allow_unknown: bool) -> Note:
        """Look where the keys are, refuse unknown ones, and note what is to be done."""
        asked = self._only(keys)
        traces, online = self._look(keys)
        sourced = self._sourced(asked)
        known = {*traces.hashes, *reject_hashes(self.table, asked), *(sourced or ())}
        known |= self.stones.times.keys()
        at_home = {key for key, here in zip(keys, online, strict=True) if here}
        unknown = [key for key in keys if key not in at_home and asked.hash(key) not in known]
        if unknown and not allow_unknown:
            shown = "; ".join(f"line {keys[key]}: {', '.join(key)}" for key in unknown[:3])
            raise JoinError(
                f"{len(unknown)} of {len(keys)} keys in {path} are unknown to view "
                f"{self.view.name!r}: neither its table, its rejects, its source nor the online "
                f"store has them: {shown}. Nothing was changed. Mend the file; or keep these keys "
                f"out of later runs, too, with --allow-unknown."
            )
        now = datetime.now(timezone.utc).isoformat()
        rows = None if sourced is None else sum(sourced.values())
        note = Note(now, [list(key) for key in keys], len(unknown), rows)
        note.write(begun_forgetting(self.table.uri))
        return note

    def finish(self, note: Note) -> Certificate:
        """Do what is left to do, and certify it."""
        keys = [tuple(key) for key in note.keys]
        self.keys |= set(keys)
        path = begun_forgetting(self.table.uri)
        # First of all, so that no run embeds again what is gone.
        self.stones = self.stones.with_keys(keys)
        self.stones.write(self.table.uri)
        asked = self._only(keys)
        traces, online = self._look(keys)
        rejects = sum(reject_hashes(self.table, asked).values())
        caches = [*self._find(CACHE, "vectors")]
        note.add(traces, rejects, sum(online), caches)
        note.write(path)
        name = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-forget-{uuid.uuid4().hex[:8]}"
        swept = erase_rows(self.table, self.stones, name)
        erase_rejects(self.table, self.stones, name)
        for cache in caches:
            cache.unlink()
        store = self._online()
        if store is not None:
            store.remove(self._as_online(store, keys))
        certificate = Certificate(
            view=self.view.name,
            project=self.store.project,
            keys=len(keys),
            unknown=note.unknown,
            begun=note.begun,
            finished=datetime.now(timezone.utc).isoformat(),
            rows=note.rows,
            rejects=note.rejects,
            online=note.online,
            files=len(swept.leftovers) + len(swept.dropped) + len(swept.replaced),
            caches=note.caches,
            tombstones=len(self.stones.times),
            remains=[*self._remains(note, asked)],
        )
        self._certify(certificate, self.table.scratch / "certificates" / f"{name}.json", path)
        return certificate

    def _certify(self, certificate: Certificate, path: Place, note: Place) -> None:
        path.parent.mkdir(exist_ok=True)
        certificate.path = str(path)
        with whole(path) as aside:
            aside.write_text(json.dumps(certificate.to_dict(), indent=1))
        note.unlink()
        # A note that was being written when its call was killed.
        for left in self.table.scratch.glob("*.tmp"):
            left.unlink()

    def _only(self, keys: Any) -> Tombstones:
        return Tombstones(self.stones.names, self.stones.salt).with_keys(keys)

    def _look(self, keys: Any) -> tuple[Traces, list[bool]]:
        """Look for keys in the table and online."""
        traces, store = find_traces(self.table, self._only(keys)), self._online()
        if store is None:
            return traces, [False] * len(keys)
        feature = self.view.features[0].name
        times = store.read(self._as_online(store, keys), [feature]).times
        return traces, [time is not None for time in times]

    def _online(self) -> OnlineTable | None:
        store: Any = self.store.provider
        if store.online_store is None or not self.view.online:
            return None
        return online_table(store.online_store, self.store.config, self.view)

    def _as_online(self, store: OnlineTable, keys: Any) -> list[tuple[Any, ...]]:
        named = (dict(zip(self.types, key, strict=True)) for key in keys)
        return [
            tuple(typed(key[name], self.types[name]) for name in store.entity_keys.join_keys)
            for key in named
        ]

    def _sourced(self, asked: Tombstones) -> dict[str, int] | None:
        """Count by hash the rows of the raw source; None where it cannot be read."""
        found: Counter[str | None] = Counter()
        with tempfile.TemporaryDirectory(prefix="deepfeast-") as scratch:
            try:
                for part in self._source(Path(scratch)).slices:
                    for _, batch in read_slice(part, [*asked.names], BATCH_ROWS):
                        found.update(asked.hashes(batch))
            except SourceError:
                return None
        return {one: count for one, count in found.items() if one in asked.times}

    def _source(self, scratch: Path) -> Source:
        """Open the keys of the raw source."""
        raw: Any = self.store.get_data_source(self.spec.source)
        if lies_in_files(raw):
            return open_source(self.store, self.spec.source, self.types, scratch)
        return read_raw(self.store.config, raw, self.types, [], scratch, Wanted()).source

    def _find(self, name: re.Pattern[str], folder: str = "") -> Iterator[Path]:
        """Yield the files of a name that reports of lift may have left."""
        repo = self.store.repo_path or Path()
        for top in {Path(one).resolve() for one in (repo, *self.reports)}:
            for where, folders, files in os.walk(top):
                folders[:] = [one for one in folders if not one.startswith(".")]
                if folder in ("", Path(where).name):
                    yield from (Path(where) / one for one in files if name.fullmatch(one))

    def _remains(self, note: Note, asked: Tombstones) -> Iterator[Remains]:
        if note.sourced is None:
            yield Remains(
                f"the raw source {self.spec.source!r}", "it could not be read", "Look there."
            )
        elif note.sourced:
            yield Remains(
                f"{note.sourced:,} rows of the raw source {self.spec.source!r}",
                "deepfeast only reads it; no run embeds them again",
                "Delete them there.",
            )
        yield from self._fitted(note, asked)
        store = self._online()
        if store is None:
            yield Remains(
                "the online store",
                "the view is not online as it is declared, so that nothing was looked for there",
                "Where it was online before, declare it so and forget the keys again.",
            )
        elif store.leaves:
            yield Remains("of the online store", store.leaves, "See to it there.")
        mine = set(self.view.entities)
        others = [
            one.name
            for one in self.store.list_feature_views()
            if one.name != self.view.name and mine & set(one.entities)
        ]
        if others:
            yield Remains(
                f"the views {', '.join(others)}",
                "they have the same entity, and each view is forgotten by itself",
                "Run deepfeast forget for the deep ones; the others are not ours.",
            )
        for page in sorted({*self._find(re.compile(r"lift\.(html|json)"))}):
            yield Remains(
                str(page), "a page of lift may show texts and photos", "Run deepfeast lift anew."
            )
        yield from copies(self.table.scratch, self.view.name)
        figures = Record(self.store.config, "feature")
        if figures.query(self.store.project, {"feature_view_name": self.view.name}):
            yield Remains(
                str(figures.path),
                "feast monitor measured all rows; a baseline keeps the mean of their vectors",
                "Delete the folder, then run feast monitor anew.",
            )

    def _fitted(self, note: Note, asked: Tombstones) -> Iterator[Remains]:
        """Name what was fitted on the keys' contents before they were forgotten."""
        if self.table.open() is None:
            return
        newest = {c.meta["generation"]: c.meta for c in reversed(self.table.commits())}
        forgotten = max(self.stones.times[one] for one in asked.times)
        for version in list_versions(self.table):
            fits = fits_of(newest[version.number])
            for feature, fingerprint in version.fingerprints.items():
                if not state_path(self.table.uri, fingerprint).is_file():
                    continue
                if version.first.isoformat() > forgotten:
                    continue
                fit = fits.get(feature)
                if fit and note.first and note.last:
                    first, last = map(datetime.fromisoformat, (note.first, note.last))
                    if last < (fit.first or last) or first > fit.last:
                        continue
                on = f" on {fit.rows:,} rows" if fit else ""
                current = version.current
                anew = f"deepfeast embed {self.view.name} --rebuild" if current else ""
                drop = f"deepfeast vacuum {self.view.name} --drop {version.number}"
                yield Remains(
                    f"what {feature!r} of version {version.number} is fitted to",
                    f"words or directions were learnt{on}, theirs perhaps among them, and the "
                    f"vectors of all other keys depend on it",
                    f"Run {' and then '.join(filter(None, (anew, drop)))}.",
                )
