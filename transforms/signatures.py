"""What a model was trained on, small enough to save beside it.

A signature lists the columns in order and, for every vector, the fingerprint of the encoder
that computed it. A service whose signature differs must not feed the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.columns import ServiceColumn, service_columns
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.errors import SignatureMismatch
from deepfeast.transforms.features import deep_spec

if TYPE_CHECKING:
    from feast import FeatureStore

VERSION = 1


def signature(
    store: FeatureStore, service: Any, *, full_feature_names: bool = False
) -> dict[str, Any]:
    """Describe what a service serves now.

    Parameters
    ----------
    store : FeatureStore
    service : str, FeatureService or sequence of str
        As in `service_columns`.

    Returns
    -------
    dict
        ``version``, ``service`` (its name, or None), ``columns`` (names in order) and
        ``fingerprints`` (``view:feature`` to sha256; None where nothing was embedded yet).
        Plain JSON, smaller than a page.
    """
    columns = service_columns(store, service, full_feature_names=full_feature_names)
    name = service if isinstance(service, str) else getattr(service, "name", None)
    return describe(store, columns, name)


def describe(
    store: FeatureStore,
    columns: Sequence[ServiceColumn],
    service: str | None,
    told: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """Make the signature of columns that are already at hand.

    Parameters
    ----------
    told : mapping of str to str, optional
        Fingerprints that an online store tells. No embedding table is opened for these: the
        machine that serves may not see it.
    """
    return {
        "version": VERSION,
        "service": service,
        "columns": [name for column in columns for name in column.columns],
        "fingerprints": _fingerprints(store, columns, told or {}),
    }


def _fingerprints(
    store: FeatureStore, columns: Sequence[ServiceColumn], told: Mapping[str, str | None]
) -> dict[str, str | None]:
    known: dict[str, dict[str, str]] = {}
    found: dict[str, str | None] = {}
    views = {view.name: view for view in store.list_feature_views()}
    for column in columns:
        view = views.get(column.registered)
        spec = deep_spec(view)
        if view is None or spec is None:
            continue
        if column.reference in told:
            found[column.reference] = told[column.reference]
            continue
        if column.registered not in known:
            known[column.registered] = embedding_table(store, view).fingerprints()
        found[column.reference] = known[column.registered].get(column.feature)
    return found


def save_signature(signature: dict[str, Any], path: str | Path) -> None:
    """Write a signature as JSON, to lie beside the model."""
    Path(path).write_text(json.dumps(signature, indent=1) + "\n", encoding="utf-8")


def load_signature(path: str | Path) -> dict[str, Any]:
    """Read what `save_signature` wrote."""
    found: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return found


def check_signature(trained: dict[str, Any], served: dict[str, Any]) -> None:
    """Refuse to serve a model what it was not trained on.

    Parameters
    ----------
    trained, served : dict
        What `load_signature` read beside the model, and what `signature` says now.

    Raises
    ------
    SignatureMismatch
        It names the first difference: a column, or an encoder.
    """
    if trained.get("version") != served.get("version"):
        raise SignatureMismatch(
            f"the model's signature has version {trained.get('version')}, this deepfeast writes "
            f"version {served.get('version')}. Train and save it again."
        )
    _check_columns(trained["columns"], served["columns"])
    for feature, fingerprint in trained["fingerprints"].items():
        now = served["fingerprints"].get(feature)
        if now != fingerprint:
            raise SignatureMismatch(
                f"{feature} was computed by encoder {_short(fingerprint)} when the model was "
                f"trained and by {_short(now)} now: equal columns, other numbers. Train again, or "
                f"serve the view that holds the old vectors."
            )


def _check_columns(trained: list[str], served: list[str]) -> None:
    if trained == served:
        return
    lost = [name for name in trained if name not in served]
    new = [name for name in served if name not in trained]
    if lost or new:
        told = [
            f"{what}: {', '.join(names[:3])}{', …' if len(names) > 3 else ''} ({len(names)})"
            for what, names in (("missing now", lost), ("new", new))
            if names
        ]
        raise SignatureMismatch(
            f"the model was trained on {len(trained)} columns, {len(served)} are served; "
            f"{'; '.join(told)}. Serve the feature service it was trained on, or train again."
        )
    position = next(at for at, name in enumerate(trained) if name != served[at])
    raise SignatureMismatch(
        f"the columns are in another order: at position {position} the model expects "
        f"{trained[position]!r}, {served[position]!r} is served. Restore the order of the service."
    )


def _short(fingerprint: str | None) -> str:
    return f"{fingerprint[:12]}…" if fingerprint else "none (never embedded)"
