"""A deep view: is its embedding table there, of the declared encoders, and fresh?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.doctor.findings import Finding
from deepfeast.pipelines.doctor.online import check_online
from deepfeast.transforms.errors import DeepfeastError
from deepfeast.transforms.features import GROUPS_TAG, DeepViewSpec

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from feast import FeatureStore, FeatureView

    from deepfeast.transforms.embeddings.table import EmbeddingTable


def check_deep_view(
    store: FeatureStore, view: FeatureView, spec: DeepViewSpec
) -> Iterator[Finding]:
    """Look whether the embedding table is there, is of the declared encoders, and is fresh."""
    from deepfeast.transforms.embeddings.check import find_faults
    from deepfeast.transforms.embeddings.state import fitted_encoder
    from deepfeast.transforms.embeddings.table import embedding_table
    from deepfeast.transforms.embeddings.tombstones import begun_forgetting
    from deepfeast.transforms.files.place import file_source
    from deepfeast.transforms.files.source import open_source

    where, table = f"view {view.name}", embedding_table(store, view)
    try:
        delta = table.open()
    except DeepfeastError as error:
        yield Finding(
            "error", where, str(error), "Mend it as told; until then no run will touch it."
        )
        return
    if begun_forgetting(table.uri).is_file():
        what = "keys were to be forgotten, and the process that did so was killed."
        yield Finding("error", where, what, f"deepfeast forget {view.name}")
    faults = [*find_faults(table, delta)]
    yield from (Finding("error", where, fault.what, fault.mend) for fault in faults)
    if any(fault.path for fault in faults):
        return
    known = table.fingerprints()
    if not known:
        yield Finding("error", where, "it was never embedded.", f"deepfeast embed {view.name}")
        return
    try:
        open_source(store.config, file_source(view.batch_source), view)
    except DeepfeastError as error:
        yield Finding("error", where, str(error), "Mend it as told.")
        return
    rebuild = f"deepfeast embed {view.name} --rebuild, or give the view a new name."
    for feature in spec.features:
        if feature.name not in known:
            yield Finding("error", where, f"{feature.name!r} is new to its table.", rebuild)
            continue
        try:
            fitted_encoder(feature, table.uri, known[feature.name])
        except DeepfeastError as error:
            yield Finding("error", where, f"{error}", rebuild)
    yield from check_fits(table, spec)
    if delta and GROUPS_TAG in view.tags:
        yield from _check_groups(store, view, delta)
    yield from _check_freshness(store, view, spec, table)


def check_fits(table: EmbeddingTable, spec: DeepViewSpec) -> Iterator[Finding]:
    """Look for fitted steps that may have seen what a model will be tested on.

    Where nobody says when training ends, a fit has seen rows of every time that the table holds.
    """
    fits = table.fits()
    for feature in spec.features:
        fit = fits.get(feature.name)
        # Rows of one moment have no later part that could be a test period.
        if fit is None or feature.fit_until or fit.first == fit.last:
            continue
        yield Finding(
            "warning",
            f"view {table.view}",
            f"{feature.name!r} is fitted to data and was fitted on rows up to "
            f"{fit.last:%Y-%m-%d %H:%M}: a test period before then has had a say in it, and looks "
            f"better than it is.",
            f"Declare the end of the training period, DeepFeature({feature.name!r}, ..., "
            f"fit_until='{fit.first or fit.last:%Y-%m-%d}'), with your own date; then deepfeast "
            f"embed {table.view} --rebuild.",
        )


def _check_groups(store: FeatureStore, view: FeatureView, delta: DeltaTable) -> Iterator[Finding]:
    """Look for the column that drift is tested by, with one row of the table."""
    from deepfeast.transforms.files.columns import SourceColumns
    from deepfeast.transforms.monitoring.groups import groups_of

    columns = SourceColumns.of(view)
    named = [*columns.keys.values(), columns.time]
    try:
        groups_of(store, view, delta.to_pyarrow_dataset().head(1, columns=named))
    except DeepfeastError as error:
        mend = f"deep_feature_view({view.name!r}, ..., groups=) with a column that is there."
        yield Finding("error", f"view {view.name}", str(error), mend)


def _check_freshness(
    store: FeatureStore, view: FeatureView, spec: DeepViewSpec, table: EmbeddingTable
) -> Iterator[Finding]:
    where = f"view {view.name}"
    time = str(view.batch_source.timestamp_field) if view.batch_source else ""
    embedded, run = table.newest(time)
    try:
        raw = _newest_raw(store, spec.source)
    except DeepfeastError as error:
        yield Finding("error", where, f"its raw source cannot be read: {error}", "Mend the source.")
        return
    if raw and (embedded is None or raw > embedded):
        yield Finding(
            "warning",
            where,
            f"its source has rows up to {raw:%Y-%m-%d %H:%M}, its embeddings end at "
            f"{embedded or datetime.min:%Y-%m-%d %H:%M}.",
            f"deepfeast embed {view.name}",
        )
    if view.online:
        yield from check_online(store, view, table, embedded, run)


def _newest_raw(store: FeatureStore, name: str) -> datetime | None:
    from deepfeast.transforms.files.slices import event_times, open_source, read_slice
    from deepfeast.transforms.warehouse.open import lies_in_files
    from deepfeast.transforms.warehouse.raw import newest_time

    raw = store.get_data_source(name)
    if not lies_in_files(raw):
        return newest_time(store.config, raw)
    newest = None
    with tempfile.TemporaryDirectory() as scratch:
        source = open_source(store, name, {}, Path(scratch))
        for part in source.slices:
            for _, batch in read_slice(part, [source.timestamp]):
                times, _ = event_times(batch.column(0), source.timestamp, part.path)
                newest = _later(newest, times)
    return newest


def _later(newest: datetime | None, times: Any) -> datetime | None:
    import pyarrow.compute as pc

    latest = pc.max(times).as_py()
    if latest is None or newest is None:
        return latest or newest
    return max(latest, newest)
