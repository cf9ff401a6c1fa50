"""The raw rows of a run: a source in files as it lies, or what a warehouse has that is news.

Of a source with a created column a commit says up to when it was read, so that the next run reads
what is newer, and `overlap` before it. All is read where that cannot be told: by the first run, to
rebuild, and where the source or the view are declared otherwise than then.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deepfeast.transforms.errors import SourceEmpty
from deepfeast.transforms.files.csv import raw_types
from deepfeast.transforms.files.slices import Source, no_rows, open_source
from deepfeast.transforms.times import in_utc
from deepfeast.transforms.warehouse.open import lies_in_files, rows_from
from deepfeast.transforms.warehouse.raw import Wanted, read_raw

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from deepfeast.pipelines.embed.seen import Choice
    from deepfeast.transforms.encoders import Encoder
    from deepfeast.transforms.features import DeepFeature, DeepViewSpec

# Reasons that lie in the row itself: reading it again would not help.
LASTING = {"key_missing", "time_missing", "time_unreadable", "not_text", "text_blank"}
LASTING |= {"no_known_word"}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Read:
    """Raw rows, and up to when the source has been read.

    Attributes
    ----------
    source : Source
        Without slices where a warehouse has nothing that is newer.
    mark : dict, optional
        What a commit of the run says of its reading, for the next run: ``of``, what was read, and
        ``created``, the latest created time, in microseconds since 1970. None where the next run
        must read all.
    before : dict, optional
        The mark of the last run.
    """

    source: Source
    mark: dict[str, Any] | None = None
    before: dict[str, Any] | None = None

    def settled(
        self,
        features: Sequence[DeepFeature],
        encoders: Mapping[str, Encoder],
        reasons: Mapping[str, Any],
    ) -> dict[str, Any] | None:
        """Return the mark, or the one before where some rejects deserve another reading.

        A photo that lies elsewhere may be there by the next run; a text that is none stays so.
        """
        schema = self.source.schema()
        elsewhere = any(
            encoders[feature.name].modality != "text"
            and pa.types.is_string(schema.field(feature.column).type)
            for feature in features
        )
        return self.before if elsewhere and set(reasons) - LASTING else self.mark


def read_source(
    store: FeatureStore,
    view: FeatureView,
    spec: DeepViewSpec,
    scratch: Path,
    last: Mapping[str, Any] | None,
    since: datetime | None,
    until: datetime | None,
    choice: Choice | None = None,
) -> Read:
    """Open the raw source of a view.

    Parameters
    ----------
    view, spec
        The view and what is declared of it; its keys are read as declared.
    scratch : Path
        For what must be rewritten, or comes from a warehouse.
    last : mapping, optional
        The mark of the commit that this run adds to; None to read all.
    since, until : datetime, optional
        The run's window of event time. It is read whole, and says nothing of other rows.
    choice : Choice, optional
        Which files to read.

    Raises
    ------
    SourceError
        If it cannot be used.
    """
    contents = [feature.column for feature in spec.features]
    source = store.get_data_source(spec.source)
    if lies_in_files(source):
        types = raw_types(view, contents)
        opened = open_source(store, spec.source, types, scratch, choice)
        if not opened.slices and not (choice and choice.kept):
            raise no_rows(opened.name, opened.uri)
        return Read(opened)
    keys = raw_types(view, [])
    of = _digest(source, spec, keys)
    before = dict(last) if last and last["of"] == of else None
    windowed = since is not None or until is not None
    wanted = Wanted(since=since and in_utc(since), until=until and in_utc(until))
    if before and not windowed:
        known = _EPOCH + timedelta(microseconds=before["created"])
        wanted = replace(wanted, newer=known - store.config.offline_store.overlap)
    raw = read_raw(store.config, source, keys, contents, scratch, wanted)
    if not raw.source.slices and wanted.newer is None:
        raise SourceEmpty(
            f"the source {spec.source!r} ({raw.source.uri}) has no rows"
            f"{' in that window' if windowed else ''}; nothing to embed."
        )
    if windowed or raw.newest is None:
        return Read(raw.source, before, before)
    # A clock that runs ahead must not hide the rows to come.
    created = min(raw.newest, time.time_ns() // 1000)
    newest = max(created, before["created"]) if before else created
    return Read(raw.source, {"of": of, "created": newest}, before)


def _digest(source: Any, spec: DeepViewSpec, keys: Mapping[str, pa.DataType]) -> str:
    """Name what is read: another table, query, column or encoder makes old rows news."""
    times = [source.timestamp_field, source.created_timestamp_column, dict(source.field_mapping)]
    said = [
        rows_from(source),
        times,
        {name: str(type_) for name, type_ in keys.items()},
        spec.to_tag(),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]
