"""Deep features declared once, in the Feast repo, and found again through its registry.

A declaration becomes a plain Feast ``FeatureView`` over the view's embedding table; what Feast
has no field for travels with it as a tag, see `deepfeast.transforms.features`. So there is no
second configuration file.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from deepfeast.transforms.errors import FeatureNotFound, SpecError, did_you_mean
from deepfeast.transforms.features import (
    CREATED,
    GROUPS_TAG,
    SPEC_TAG,
    DeepFeature,
    DeepViewSpec,
    deep_spec,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feast import Entity, FeatureStore, FeatureView
    from feast.data_source import DataSource

    from deepfeast.transforms.encoders import Encoder

__all__ = [
    "CREATED",
    "DeepFeature",
    "DeepViewSpec",
    "deep_feature_view",
    "deep_spec",
    "find_deep_view",
]

_PLAIN = DeepFeature("plain", column="", encoder="")


def deep_feature_view(
    *,
    name: str,
    entities: Sequence[Entity],
    source: DataSource,
    features: Sequence[DeepFeature],
    ttl: timedelta = timedelta(0),
    table: str | None = None,
    online: bool = True,
    description: str = "",
    owner: str = "",
    tags: dict[str, str] | None = None,
    groups: str | None = None,
) -> FeatureView:
    """Declare deep features as a plain Feast ``FeatureView`` over their embedding table.

    Parameters
    ----------
    name : str
        Name of the view.
    entities : sequence of Entity
        Their join keys are columns of the raw source.
    source : DataSource
        The raw table, named and with a ``timestamp_field``: a FileSource (Parquet, CSV or Delta),
        or a table or query of a warehouse, such as a PostgreSQLSource. Declare it in the repo, so
        that it is registered.
    features : sequence of DeepFeature
    ttl : timedelta
        How long a vector stays valid; zero means for ever, as in Feast.
    table : str, optional
        Where the embedding table lies, relative to the repo; or ``s3://``, ``gs://``, ``az://``,
        where S3 has the endpoint of `source`. By default
        ``data/embeddings/<name>``.
    online, description, owner, tags
        As in ``FeatureView``.
    groups : str, optional
        Column of what belongs together, such as the seller: a join key, a column of the raw source
        or a handcrafted one of these entities. ``feast monitor`` and ``deepfeast drift`` test for
        drift by it; no vector depends on it. Kept as the tag ``deepfeast_groups``.

    Returns
    -------
    FeatureView
        With one ``Array(Float32)`` field a feature, its ``vector_length`` the encoder's dim.

    Raises
    ------
    SpecError
        If the source keeps no rows or has no timestamp field, two features share a name,
        or one gives an option that its encoder has no use for (``fit_until``, ``root``,
        ``allow_hosts``, ``pool``).
    EncoderNotFound
        If no encoder answers to a feature's string.
    """
    from feast import FeatureView, Field, FileSource
    from feast.data_format import DeltaFormat
    from feast.types import Array, Float32

    from deepfeast.transforms.encoders import build_encoder

    spec = DeepViewSpec(name, source.name, tuple(features))
    _check(spec, source)
    encoders = {feature.name: build_encoder(feature) for feature in spec.features}
    for feature in spec.features:
        _check_options(feature, encoders[feature.name])
    return FeatureView(
        name=name,
        entities=list(entities),
        ttl=ttl,
        schema=[
            Field(
                name=feature.name,
                dtype=Array(Float32),
                vector_length=encoders[feature.name].dim,
                vector_index=feature.vector_index is not None,
                vector_search_metric=feature.vector_index,
                description=f"{feature.column} through {feature.encoder}{_kept(feature)}",
            )
            for feature in spec.features
        ],
        source=FileSource(
            name=f"{name}_embeddings",
            path=table or f"data/embeddings/{name}",
            file_format=DeltaFormat(),
            timestamp_field=source.timestamp_field,
            created_timestamp_column=CREATED,
            # One store, as a rule; Feast's own field says where it is.
            s3_endpoint_override=getattr(source, "s3_endpoint_override", None)
            if str(table).startswith("s3://")
            else None,
        ),
        online=online,
        description=description,
        owner=owner,
        tags={
            **(tags or {}),
            **({GROUPS_TAG: groups} if groups else {}),
            SPEC_TAG: spec.to_tag(),
        },
    )


def _kept(feature: DeepFeature) -> str:
    return "" if feature.storage == "float32" else f", kept as {feature.storage}"


def _check(spec: DeepViewSpec, source: DataSource) -> None:
    if not spec.features:
        raise SpecError(f"the deep feature view {spec.name!r} has no features.")
    names = [feature.name for feature in spec.features]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SpecError(
            f"two features of view {spec.name!r} are called {', '.join(sorted(twice))}."
        )
    searched = [feature.name for feature in spec.features if feature.vector_index]
    if len(searched) > 1:
        raise SpecError(
            f"view {spec.name!r} gives {' and '.join(searched)} a vector_index, and Feast searches "
            f"one feature of a view. Declare the others in a view of their own."
        )
    from feast.data_source import KafkaSource, KinesisSource, PushSource, RequestSource

    if isinstance(source, (KafkaSource, KinesisSource, PushSource, RequestSource)):
        raise SpecError(
            f"the source {source.name!r} of view {spec.name!r} is a {type(source).__name__}, which "
            f"keeps no rows that could be embedded. Declare the table behind it: a FileSource, or "
            f"a source of your warehouse."
        )
    if not source.timestamp_field:
        raise SpecError(
            f"the source {source.name!r} of view {spec.name!r} has no timestamp_field. A "
            f"point-in-time join needs one: "
            f"{type(source).__name__}(..., timestamp_field='<column>')."
        )


def _check_options(feature: DeepFeature, encoder: Encoder) -> None:
    """Refuse an option that would do nothing."""
    reader = encoder.reads
    useful = {*reader.options, *(["pool"] if reader.several else [])}
    useful |= {"fit_until"} if encoder.has_state else set()
    for name in ("root", "allow_hosts", "pool", "fit_until"):
        given = getattr(feature, name)
        if name in useful or given == getattr(_PLAIN, name):
            continue
        what = f"{feature.encoder!r}"
        what += f" with reduce={feature.reduce!r}" if feature.reduce else ""
        why = (
            f"nothing of {what} is fitted to data"
            if name == "fit_until"
            else f"{what} reads {encoder.modality}, for which it means nothing"
        )
        raise SpecError(f"{name}={given!r} on deep feature {feature.name!r}: {why}. Leave it out.")


def find_deep_view(store: FeatureStore, name: str) -> tuple[FeatureView, DeepViewSpec]:
    """Look a deep feature view up in the registry.

    Raises
    ------
    FeatureNotFound
        If there is no such view, or it is an ordinary one; it names the deep ones.
    """
    deep = {view.name: view for view in store.list_feature_views() if deep_spec(view)}
    if name not in deep:
        known = ", ".join(sorted(deep)) or "none; run feast apply in the repo first"
        raise FeatureNotFound(
            f"no deep feature view {name!r} in project {store.project!r}. "
            f"Deep views: {known}.{did_you_mean(name, deep)}"
        )
    spec = deep_spec(deep[name])
    assert spec is not None
    return deep[name], spec
