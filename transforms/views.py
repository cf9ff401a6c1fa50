"""Deep features declared once, in the Feast repo, and found again through its registry.

A declaration becomes a plain Feast ``FeatureView`` over the view's embedding table. What
Feast has no field for (which raw column, which encoder) travels with the view as one tag
of JSON, so that there is no second configuration file.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.errors import FeatureNotFound, SpecError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feast import Entity, FeatureStore, FeatureView
    from feast.data_source import DataSource

SPEC_TAG = "deepfeast"
SPEC_VERSION = 1
CREATED = "created_timestamp"
_HOST = re.compile(r"\.?[\w-]+(\.[\w-]+)*")


@dataclass(frozen=True)
class DeepFeature:
    """One vector-valued feature: a source column and the encoder that reads it.

    Parameters
    ----------
    name : str
        Name of the feature, e.g. ``"description_vec"``.
    column : str
        Column of the raw source: texts, image bytes, or image paths.
    encoder : str
        Alias (``"minilm"``) or ``kind:where`` (``"hf:/a/folder"``).
    reduce : str, optional
        What follows the encoder, e.g. ``"pca:64"``; steps are joined by ``|``.
    precision : {"fast", "exact"}
        ``"exact"`` is float32 arithmetic; ``"fast"`` is whatever agrees with it at a cosine
        of at least 0.999 and is fastest on the machine at hand.
    root : str, optional
        Folder that image paths are relative to. By default the folder of the source.
    pool : {"mean", "max"}
        How the vectors of several photos in one cell become one.
    allow_hosts : sequence of str, optional
        Hosts from which an image cell may be a URL, e.g. ``["photos.example.org"]``; with a
        leading dot all hosts below a domain. By default none: URLs are rejects. Every run
        fetches every URL, to see whether its content is new.

    Examples
    --------
    >>> DeepFeature("title_vec", column="title", encoder="minilm").precision
    'fast'
    """

    name: str
    column: str
    encoder: str
    reduce: str | None = None
    precision: str = "fast"
    root: str | None = None
    pool: str = "mean"
    allow_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise SpecError(
                f"{self.name!r} cannot name a deep feature: its columns are called "
                f"{self.name}_000 and so on, so use letters, digits and underscores."
            )
        for field, allowed in (("precision", ("fast", "exact")), ("pool", ("mean", "max"))):
            if getattr(self, field) not in allowed:
                raise SpecError(
                    f"{field}={getattr(self, field)!r} on deep feature {self.name!r}: "
                    f"expected one of {', '.join(map(repr, allowed))}."
                )
        hosts = self.allow_hosts
        if isinstance(hosts, str) or not all(_HOST.fullmatch(host) for host in hosts):
            raise SpecError(
                f"allow_hosts={hosts!r} on deep feature {self.name!r}: expected a list of names "
                f"of hosts, without scheme, port or path, e.g. ['photos.example.org']."
            )
        object.__setattr__(self, "allow_hosts", tuple(hosts))

    @property
    def hash_column(self) -> str:
        """Column of the embedding table with the 16-byte hash of the content."""
        return f"{self.name}_hash"


@dataclass(frozen=True)
class DeepViewSpec:
    """All that deepfeast must know of a deep feature view and Feast does not.

    Parameters
    ----------
    name : str
        Name of the feature view.
    source : str
        Name of the raw source in the registry.
    features : tuple of DeepFeature
    """

    name: str
    source: str
    features: tuple[DeepFeature, ...]

    def to_tag(self) -> str:
        """Write the spec as JSON; equal specs give equal text."""
        body = {"version": SPEC_VERSION, **dataclasses.asdict(self)}
        return json.dumps(body, sort_keys=True)

    @classmethod
    def from_tag(cls, text: str) -> DeepViewSpec:
        """Read what `to_tag` wrote."""
        body = json.loads(text)
        version = body.pop("version")
        if version != SPEC_VERSION:
            raise SpecError(
                f"the view {body.get('name')!r} was registered with spec version {version}, this "
                f"deepfeast reads version {SPEC_VERSION}. Run feast apply with this version."
            )
        features = tuple(DeepFeature(**feature) for feature in body.pop("features"))
        return cls(**body, features=features)

    def feature(self, name: str) -> DeepFeature:
        """Return one feature by name."""
        for feature in self.features:
            if feature.name == name:
                return feature
        names = [feature.name for feature in self.features]
        raise FeatureNotFound(
            f"no deep feature {name!r} in view {self.name!r}. It has: {', '.join(names)}."
            f"{did_you_mean(name, names)}"
        )


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
) -> FeatureView:
    """Declare deep features as a plain Feast ``FeatureView`` over their embedding table.

    Parameters
    ----------
    name : str
        Name of the view.
    entities : sequence of Entity
        Their join keys are columns of the raw source.
    source : FileSource
        The raw table (Parquet, CSV or Delta), named and with a ``timestamp_field``. Declare it in
        the repo, so that it is registered.
    features : sequence of DeepFeature
    ttl : timedelta
        How long a vector stays valid; zero means for ever, as in Feast.
    table : str, optional
        Where the embedding table lies, relative to the repo. By default
        ``data/embeddings/<name>``.
    online, description, owner, tags
        As in ``FeatureView``.

    Returns
    -------
    FeatureView
        With one ``Array(Float32)`` field a feature, its ``vector_length`` the encoder's dim.

    Raises
    ------
    SpecError
        If the source has no name or no timestamp field, or two features share a name.
    EncoderNotFound
        If no encoder answers to a feature's string.
    """
    from feast import FeatureView, Field, FileSource
    from feast.data_format import DeltaFormat
    from feast.types import Array, Float32

    from deepfeast.transforms.encoders import build_encoder

    spec = DeepViewSpec(name, source.name, tuple(features))
    _check(spec, source)
    return FeatureView(
        name=name,
        entities=list(entities),
        ttl=ttl,
        schema=[
            Field(
                name=feature.name,
                dtype=Array(Float32),
                vector_length=build_encoder(feature).dim,
                description=f"{feature.column} through {feature.encoder}",
            )
            for feature in spec.features
        ],
        source=FileSource(
            name=f"{name}_embeddings",
            path=table or f"data/embeddings/{name}",
            file_format=DeltaFormat(),
            timestamp_field=source.timestamp_field,
            created_timestamp_column=CREATED,
        ),
        online=online,
        description=description,
        owner=owner,
        tags={**(tags or {}), SPEC_TAG: spec.to_tag()},
    )


def _check(spec: DeepViewSpec, source: DataSource) -> None:
    if not spec.features:
        raise SpecError(f"the deep feature view {spec.name!r} has no features.")
    names = [feature.name for feature in spec.features]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SpecError(
            f"two features of view {spec.name!r} are called {', '.join(sorted(twice))}."
        )
    if not source.timestamp_field:
        raise SpecError(
            f"the source {source.name!r} of view {spec.name!r} has no timestamp_field. A "
            f"point-in-time join needs one: FileSource(..., timestamp_field='<column>')."
        )


def deep_spec(view: Any) -> DeepViewSpec | None:
    """Return the spec of a deep feature view, or None for an ordinary view."""
    text = (getattr(view, "tags", None) or {}).get(SPEC_TAG)
    return DeepViewSpec.from_tag(text) if text else None


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
