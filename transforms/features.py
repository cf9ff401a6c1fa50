"""What is declared of a deep feature, as pure data, and the tag that carries it.

A deep feature view is a plain Feast view; what Feast has no field for (which raw column, which
encoder) travels with it as one tag of JSON. Nothing here needs Feast, an encoder or a table.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from typing import Any

from deepfeast.transforms.errors import FeatureNotFound, SpecError, did_you_mean

SPEC_TAG = "deepfeast"
GROUPS_TAG = "deepfeast_groups"
SPEC_VERSION = 1
CREATED = "created_timestamp"
_LATER = {"fit_until": None, "storage": "float32", "vector_index": None}
_WORDS = {
    "precision": ("fast", "exact"),
    "pool": ("mean", "max"),
    "storage": ("float32", "int8"),
    "vector_index": (None, "cosine", "L2", "L1", "inner_product"),
}
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
    fit_until : datetime, date or ISO 8601 text, optional
        What is fitted to data (TF-IDF, a PCA) sees rows with an event time before this moment
        alone; without a zone UTC is meant. Set it to the end of your training period, so that
        no test row has a say in the features. Kept as text in UTC, and part of the fingerprint.
    storage : {"float32", "int8"}
        ``"int8"`` keeps a vector as whole numbers from -127 to 127 and a scale for every 64 of
        them, in the embedding table and the online store: a quarter of the bytes. Whoever reads
        gets float32, the same numbers everywhere. Part of the fingerprint.
    vector_index : {"cosine", "L2", "L1", "inner_product"}, optional
        Feast's ``retrieve_online_documents_v2`` finds this feature in an online store that searches
        vectors, by this distance where the store keeps an index for one. One feature of a view.

    Examples
    --------
    >>> DeepFeature("title_vec", column="title", encoder="minilm").precision
    'fast'
    >>> DeepFeature("words", column="title", encoder="tfidf:64", fit_until="2024-05-01").fit_until
    '2024-05-01T00:00:00+00:00'
    """

    name: str
    column: str
    encoder: str
    reduce: str | None = None
    precision: str = "fast"
    root: str | None = None
    pool: str = "mean"
    allow_hosts: tuple[str, ...] = ()
    fit_until: str | None = None
    storage: str = "float32"
    vector_index: str | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise SpecError(
                f"{self.name!r} cannot name a deep feature: its columns are called "
                f"{self.name}_000 and so on, so use letters, digits and underscores."
            )
        for field, allowed in _WORDS.items():
            if getattr(self, field) not in allowed:
                raise SpecError(
                    f"{field}={getattr(self, field)!r} on deep feature {self.name!r}: "
                    f"expected one of {', '.join(map(repr, allowed))}."
                )
        if self.vector_index and self.storage != "float32":
            raise SpecError(
                f"vector_index={self.vector_index!r} on deep feature {self.name!r}: Feast's search "
                f"reads float32, and storage={self.storage!r} keeps other numbers. Leave one out."
            )
        hosts = self.allow_hosts
        if isinstance(hosts, str) or not all(_HOST.fullmatch(host) for host in hosts):
            raise SpecError(
                f"allow_hosts={hosts!r} on deep feature {self.name!r}: expected a list of names "
                f"of hosts, without scheme, port or path, e.g. ['photos.example.org']."
            )
        object.__setattr__(self, "allow_hosts", tuple(hosts))
        if self.fit_until is not None:
            object.__setattr__(self, "fit_until", _moment(self.fit_until, self.name).isoformat())

    @property
    def hash_column(self) -> str:
        """Column of the embedding table with the 16-byte hash of the content."""
        return hash_column(self.name)

    @property
    def horizon(self) -> datetime | None:
        """`fit_until` as a time in UTC."""
        return datetime.fromisoformat(self.fit_until) if self.fit_until else None


def hash_column(feature: str) -> str:
    """Name the column of an embedding table that holds the content hashes of a feature.

    >>> hash_column("title_vec")
    'title_vec_hash'
    """
    return f"{feature}_hash"


def _moment(value: Any, feature: str) -> datetime:
    """Read a time in UTC; a date is its midnight."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
        elif isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if not isinstance(value, datetime):
            raise ValueError(f"it is a {type(value).__name__}")
    except ValueError as error:
        raise SpecError(
            f"fit_until={value!r} on deep feature {feature!r} is no time ({error}): expected a "
            f"datetime or ISO 8601 text, e.g. '2024-05-01'."
        ) from None
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    return value.astimezone(timezone.utc)


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
        for feature in body["features"]:
            # Came later: the tag of a view without them is the text that it always was.
            for name, usual in _LATER.items():
                if feature[name] == usual:
                    del feature[name]
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


def deep_spec(view: Any) -> DeepViewSpec | None:
    """Return the spec of a deep feature view, or None for an ordinary view."""
    text = (getattr(view, "tags", None) or {}).get(SPEC_TAG)
    return DeepViewSpec.from_tag(text) if text else None
