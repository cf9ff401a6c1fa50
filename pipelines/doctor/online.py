"""Has the online store what the embedding table has, and does it answer?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from deepfeast.pipelines.doctor.findings import Finding
from deepfeast.transforms.feast_api import store_errors

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

    from deepfeast.transforms.embeddings.table import EmbeddingTable
    from deepfeast.transforms.online.seal import Seal


def check_online(
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
