"""What is wrong with a Feast repo, or soon will be, and how to mend it.

Each check is one function that yields findings; none of them changes anything.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from deepfeast.pipelines.junit import Check
from deepfeast.transforms.errors import DeepfeastError
from deepfeast.transforms.feast_api import (
    DASK_CONFIG,
    REDIS_CONFIG,
    SQLITE_CONFIG,
    is_a,
    open_store,
    store_errors,
)
from deepfeast.transforms.features import DeepViewSpec, deep_spec

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from deepfeast.transforms.embeddings.table import EmbeddingTable
    from deepfeast.transforms.online.seal import Seal

OURS = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
ENGINE = "deepfeast.pipelines.engine.BeamEngine"


@dataclass(frozen=True)
class Finding:
    """One thing to mend.

    Attributes
    ----------
    level : {"error", "warning"}
        An error gives wrong or no values; a warning may, or costs time.
    where : str
        What it is about, e.g. ``view listing_deep``.
    what : str
        What is wrong, and what follows from it.
    mend : str
        What to do.
    """

    level: Literal["error", "warning"]
    where: str
    what: str
    mend: str


def diagnose(store: FeatureStore | str | Path) -> list[Finding]:
    """Check a Feast repo.

    Parameters
    ----------
    store : FeatureStore or path of a repo
        As applied: what ``feast apply`` has not seen is not checked.

    Returns
    -------
    list of Finding
        Errors first; empty where nothing is wrong.
    """
    store = open_store(store)
    views = list(store.list_feature_views())
    findings = [*check_stores(store, views)]
    for view in views:
        findings += check_source(store, view)
        findings += check_arrays(view)
        spec = deep_spec(view)
        if spec:
            findings += check_deep_view(store, view, spec)
    return sorted(findings, key=lambda finding: finding.level)


def render(findings: Iterable[Finding]) -> str:
    """Write findings for a terminal.

    Examples
    --------
    >>> print(render([Finding("error", "view a", "It was never embedded.", "deepfeast embed a")]))
    error    view a: It was never embedded.
             → deepfeast embed a
    >>> render([])
    'nothing to mend'
    """
    lines = [
        f"{finding.level:<8} {finding.where}: {finding.what}\n{'':9}→ {finding.mend}"
        for finding in findings
    ]
    return "\n".join(lines) or "nothing to mend"


def exit_status(findings: Iterable[Finding], strict: bool = False) -> int:
    """Return 1 where one of the findings is an error, or `strict` and there is any; for CI."""
    return int(any(strict or finding.level == "error" for finding in findings))


def checks(findings: Sequence[Finding], strict: bool = False) -> list[Check]:
    """Turn findings into checks that fail where `exit_status` counts them."""
    told = []
    for finding in findings:
        text = f"{finding.what}\n{finding.mend}"
        fails = exit_status([finding], strict)
        told.append(Check(finding.where, text if fails else "", "" if fails else text))
    return told or [Check("nothing to mend")]


def check_stores(store: FeatureStore, views: list[FeatureView]) -> Iterator[Finding]:
    """Look for what the configured stores and the engine do wrong with such views."""
    config = store.config
    engine = config.batch_engine_config
    engine_type = engine.get("type") if isinstance(engine, dict) else engine
    arrays = [view.name for view in views if any(_is_array(field) for field in view.features)]
    if is_a(config.offline_store, DASK_CONFIG) and arrays:
        yield Finding(
            "warning",
            "offline_store",
            f"Feast's default store drops label rows without features and repeated label rows, and "
            f"takes half a minute for 20,000 vectors; {', '.join(arrays)} hold vectors.",
            f"Set offline_store.type to {OURS} in feature_store.yaml.",
        )
    searched = getattr(config.online_store, "vector_enabled", False)
    sqlite = is_a(config.online_store, SQLITE_CONFIG)
    if sqlite and searched:
        yield Finding(
            "error",
            "online_store",
            "Feast's vector search on SQLite works on Python 3.10 alone, which is too old for "
            "deepfeast.",
            "Remove vector_enabled from online_store, or use another store.",
        )
    yield from _check_engine(engine_type, engine, config.online_store, views)


def _check_engine(
    engine_type: Any, engine: Any, settings: Any, views: list[FeatureView]
) -> Iterator[Finding]:
    deep = [view.name for view in views if deep_spec(view)]
    if engine_type == ENGINE:
        if isinstance(engine, dict) and "dask" in str(engine.get("runner", "")).lower():
            yield Finding(
                "error",
                "batch_engine",
                "Beam's Dask runner loses rows, so that nothing will be materialized on it.",
                "Set batch_engine.runner to FnApiRunner, FlinkRunner, SparkRunner or "
                "DataflowRunner.",
            )
        return
    if is_a(settings, REDIS_CONFIG) and deep and not settings.skip_dedup:
        yield Finding(
            "error",
            "online_store",
            f"Redis ignores a write whose event time is not newer, so vectors of "
            f"{', '.join(deep)} that are embedded again by a new encoder never arrive.",
            f"Set batch_engine.type to {ENGINE}, or online_store.skip_dedup to true.",
        )
    elif deep:
        yield Finding(
            "warning",
            "batch_engine",
            f"{engine_type!r} writes what the embedding tables hold but does not embed; an older "
            f"span overwrites newer values on SQLite and PostgreSQL.",
            f"Set batch_engine.type to {ENGINE}.",
        )


def check_source(store: FeatureStore, view: FeatureView) -> Iterator[Finding]:
    """Look at the table that a view reads."""
    from feast import FileSource

    from deepfeast.transforms.files.place import open_source, source_uri

    source = view.batch_source
    where = f"view {view.name}"
    if not isinstance(source, FileSource):
        return
    relative = "://" not in source.path and not Path(source.path).is_absolute()
    if relative and type(store.config.offline_store).__name__ == "DuckDBOfflineStoreConfig":
        yield Finding(
            "error",
            where,
            f"Feast's duckdb store looks for {source.path} in the working directory, not in the "
            f"repo.",
            f"Make the path absolute, or set offline_store.type to {OURS}.",
        )
    if not source.created_timestamp_column:
        yield Finding(
            "warning",
            where,
            "its source has no created_timestamp_column: of two rows with one key and event time "
            "nobody can say which is later, and backfilled values leak into training.",
            f"Declare it: FileSource(name={source.name!r}, created_timestamp_column=...).",
        )
    if deep_spec(view) is None:
        try:
            open_source(store.config, source, view)
        except (DeepfeastError, OSError) as error:
            mend = f"Mend the path, or put the table at {source_uri(store.config, source)}."
            yield Finding("error", where, f"its source cannot be read: {error}", mend)


def check_arrays(view: FeatureView) -> Iterator[Finding]:
    """Look for arrays that will not become columns."""
    from deepfeast.transforms.columns import is_vector

    for field in view.features:
        if _is_array(field) and not is_vector(field):
            yield Finding(
                "warning",
                f"view {view.name}",
                f"the array {field.name!r} declares no vector_length: it stays one column of "
                f"lists, which no old model can read.",
                f"Field(name={field.name!r}, dtype=Array(Float32), vector_length=<length>).",
            )


def check_deep_view(
    store: FeatureStore, view: FeatureView, spec: DeepViewSpec
) -> Iterator[Finding]:
    """Look whether the embedding table is there, is of the declared encoders, and is fresh."""
    from deepfeast.transforms.embeddings.check import find_faults
    from deepfeast.transforms.embeddings.state import fitted_encoder
    from deepfeast.transforms.embeddings.table import embedding_table
    from deepfeast.transforms.embeddings.tombstones import begun_forgetting
    from deepfeast.transforms.files.place import file_source, open_source

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
        yield from _check_online(store, view, table, embedded, run)


def _check_online(
    store: FeatureStore,
    view: FeatureView,
    table: EmbeddingTable,
    embedded: datetime | None,
    run: datetime | None,
) -> Iterator[Finding]:
    """Look whether the online store has what the embedding table has."""
    from deepfeast.transforms.online.open import online_table
    from deepfeast.transforms.online.seal import Seal, judge_seal

    where, last = f"view {view.name}", view.most_recent_end_time
    mend = f"feast materialize-incremental $(date -u +%Y-%m-%dT%H:%M:%S) --views {view.name}"
    try:
        online = online_table(store.provider.online_store, store.config, view)
        seal = online.seal() if online.sealable else None
    except store_errors() as error:
        what = f"it does not answer for view {view.name}: {error}"
        yield Finding("error", "online_store", what, "Start it, or mend it in feature_store.yaml.")
        return
    holds = Seal.of(table.commits()[0])
    wrong = judge_seal(seal, holds) if seal or (last and online.sealable) else ""
    late = "its newest vectors were never materialized: lookups miss what training has."
    if wrong:
        effect = "lookups that expect a signature, or find it broken, are refused"
        yield Finding("error" if seal else "warning", where, f"{wrong}: {effect}.", mend)
    elif _misses(view, embedded, run) if seal is None else _lacks(seal, holds, last, embedded):
        yield Finding("warning", where, late, mend)


def _lacks(seal: Seal, holds: Seal, last: datetime | None, embedded: datetime | None) -> bool:
    """Tell whether some rows of the table are not online yet."""
    behind = last is None or (embedded is not None and embedded > _aware(last))
    return behind or holds.created > seal.created


def _misses(view: FeatureView, embedded: datetime | None, run: datetime | None) -> bool:
    """Tell whether a store that says nothing cannot have all of the embedding table."""
    last, applied = view.most_recent_end_time, view.last_updated_timestamp
    if last is None or embedded is None:
        return True
    # A materialization changes the view in the registry; so does an apply, after which this
    # says nothing rather than something false.
    late = run is not None and applied is not None and run > _aware(applied)
    return embedded > _aware(last) or late


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


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


def _is_array(field: Any) -> bool:
    from feast.types import Array

    return isinstance(field.dtype, Array)
