"""The current vectors of a deep feature in memory, and what is near to a key, a text or a photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.pipelines.lift.ask.contents import RawContents
from deepfeast.pipelines.search.answer import Found, Hit, cut
from deepfeast.pipelines.search.bridge import MOST, Bridge, learn_bridge
from deepfeast.pipelines.search.current import CurrentRows
from deepfeast.pipelines.search.where import TIME, matching
from deepfeast.pipelines.search.words import LOOKED_AT, note_of, strange_words
from deepfeast.transforms.embeddings.state import fitted_encoder
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.encoders import build_encoder
from deepfeast.transforms.errors import FeatureNotFound, SearchError
from deepfeast.transforms.feast_api import open_store
from deepfeast.transforms.nearest import all_equal, nearest, to_units
from deepfeast.transforms.times import EVENT_TIME, in_utc
from deepfeast.transforms.views import find_deep_view

if TYPE_CHECKING:
    from feast import FeatureStore
    from numpy.typing import NDArray

    from deepfeast.transforms.features import DeepFeature, DeepViewSpec

Key = Mapping[str, Any] | str | int


class VectorSearch:
    """The current vectors of one deep feature: of each key those of its latest row.

    Opening reads them once, as float32: 1.5 GB for a million of 384 numbers. Then each search
    compares all of them.

    Parameters
    ----------
    store : FeatureStore, str or Path
        The store, or the folder of its repo.
    view : str
        Name of a deep feature view.
    feature : str, optional
        By default the first of the view, or the first that is made of what `reads` says.
    as_of : datetime, optional
        Rows with a later event time are left out; by default the present. How old a row is plays
        no part.
    reads : {"text", "file"}, optional
        What the default feature is made of: texts, or photos and other files.

    Attributes
    ----------
    units : ndarray of shape (n_vectors, dim), float32
        The vectors, of length one. Keys whose vector is null, NaN or zero have none.
    keys : Table of n_vectors rows
        The join keys, and ``event_timestamp``: of the row.
    without : Table
        The same of the keys that have no vector.

    Raises
    ------
    FeatureNotFound
        If there is no such view or feature.
    NeverEmbedded
        If the view has no table yet.
    SearchError
        If no key has a vector, or all vectors are equal.

    Examples
    --------
    >>> VectorSearch("feature_repo", "listing_deep").similar("L00042")  # doctest: +SKIP
    """

    def __init__(
        self,
        store: FeatureStore | str | Path,
        view: str,
        feature: str | None = None,
        *,
        as_of: datetime | None = None,
        reads: str | None = None,
    ):
        self.store = open_store(store)
        self.view, self.spec = find_deep_view(self.store, view)
        self.feature = self.spec.feature(feature) if feature else _first(self.spec, reads)
        self.as_of = in_utc(as_of or datetime.now(timezone.utc))
        self.table = embedding_table(self.store, self.view)
        self.current = CurrentRows.of(self.view, self.table, self.as_of)
        keys, (matrix,) = self.current.read([self.feature.name])
        self.units, at = to_units(matrix)
        self.keys = keys.take(pa.array(at))
        self.without = keys.take(pa.array(np.setdiff1d(np.arange(len(keys)), at)))
        self._bridge: tuple[Bridge, NDArray[np.float32]] | None = None
        name = f"{view}:{self.feature.name}"
        if not len(self.units):
            raise SearchError(
                f"{name} has no vector as of {self.as_of:%Y-%m-%d %H:%M} UTC: of {len(keys):,} "
                f"keys all were missing or rejected. See: deepfeast rejects {view}"
            )
        if all_equal(self.units):
            raise SearchError(
                f"all {len(self.units):,} vectors of {name} are equal: none is nearer than "
                f"another. Look at the column {self.feature.column!r} and at its encoder."
            )

    def similar(self, key: Key, count: int = 10, where: str | None = None) -> Found:
        """Find the keys whose vectors are nearest to that of a key, which is left out.

        Parameters
        ----------
        key : mapping of str to object, str or int
            By join key. Of one join key its value is enough; of several, a text
            ``"city=5,shop=ann"`` is, too.
        count : int
            How many, at most.
        where : str, optional
            A filter on handcrafted columns; see `deepfeast.pipelines.search.where.matching`.

        Raises
        ------
        SearchError
            If the key is not there or has no vector, or the filter is none.
        """
        parts = key_parts(key, self.keys.column_names[:-1], self.view.name)
        same = np.ones(len(self.units), bool)
        for name, value in parts.items():
            texts = pc.cast(self.keys.column(name), pa.string())
            same &= pc.equal(texts, str(value)).to_numpy(zero_copy_only=False)
        told = ", ".join(f"{name}={value}" for name, value in parts.items())
        if not same.any():
            raise SearchError(
                f"{self.view.name}:{self.feature.name} has no vector of {told} as of "
                f"{self.as_of:%Y-%m-%d %H:%M} UTC: there is no such key among {len(self.units):,}, "
                f"or its {self.feature.column} was missing or rejected; see deepfeast rejects "
                f"{self.view.name}. A key that is there: {self._example()}."
            )
        return self._answer(self.units, self.units[np.argmax(same)], told, count, where, ~same)

    def _example(self) -> str:
        row = self.keys.slice(0, 1).drop([TIME]).to_pylist()[0]
        return ",".join(f"{name}={value}" for name, value in row.items())

    def search(self, query: str | bytes | Path, count: int = 10, where: str | None = None) -> Found:
        """Find the keys whose vectors are nearest to that of a text or a photo.

        Parameters
        ----------
        query : str, bytes or Path
            A text; or the bytes or the path of a photo, or of another file that the feature's
            encoder reads.
        count, where
            As in `similar`.

        Raises
        ------
        SearchError
            If the query is empty, cannot be encoded, or is not of the feature's kind. A text finds
            photos, too, by way of the first text feature of the view; a note says how well.
        EncoderError
            If the declared encoder is not the one of the vectors.
        """
        told = repr(cut(query)) if isinstance(query, str) else "the file"
        told = query.name if isinstance(query, Path) else told
        kind, made_of = "text" if isinstance(query, str) else "file", _reads(self.feature)
        texts = [one for one in self.spec.features if _reads(one) == "text"]
        if kind == made_of:
            vector = self._encoded(self.feature, query, told)
            found = self._answer(self.units, vector, told, count, where)
        elif kind == "text" and texts:
            found = self._through(texts[0], str(query), told, count, where)
        else:
            raise SearchError(
                f"the feature {self.feature.name!r} is made of {made_of}s, and the query is a "
                f"{kind}. Name another feature of view {self.view.name!r}: "
                f"{', '.join(one.name for one in self.spec.features)}."
            )
        if isinstance(query, str):
            found.notes.extend(self._strange(query, texts[0], found))
        return found

    def _through(
        self, text: DeepFeature, query: str, told: str, count: int, where: str | None
    ) -> Found:
        """Find photos by a text, by way of rows that have both."""
        if self._bridge is None:
            some = np.random.default_rng(0).permutation(len(self.current))[:MOST]
            _, (mine, texts) = self.current.read([self.feature.name, text.name], np.sort(some))
            names = f"{self.feature.name} and {text.name}"
            bridge = learn_bridge(mine, texts, names)
            # One without a direction is near to nothing: it stays what it is.
            predicted = bridge.predicted(self.units)
            predicted /= np.maximum(np.linalg.norm(predicted, axis=1, keepdims=True), 1e-12)
            self._bridge = bridge, predicted
        bridge, predicted = self._bridge
        vector = bridge.placed(self._encoded(text, query, told))
        if not vector.any():
            raise SearchError(
                f"{told} is the mean of all texts: nothing is nearer to it. Say more."
            )
        found = self._answer(predicted, vector, told, count, where)
        found.notes.insert(0, bridge.note(self.feature.name, text.name))
        return found

    def _strange(self, query: str, text: DeepFeature, found: Found) -> list[str]:
        """Warn of a query whose words are not those of the texts."""
        random = np.random.default_rng(0)
        some = random.permutation(len(self.keys))[:LOOKED_AT]
        raw = RawContents(self.store, self.keys.take(pa.array(some)).to_pandas())
        texts = [*raw.read(text.name), *(hit.contents[text.column] for hit in found.hits)]
        strange = strange_words(query, texts) if any(texts) else []
        return [note_of(strange, len(texts))] if strange else []

    def _encoded(
        self, feature: DeepFeature, query: str | bytes | Path, told: str
    ) -> NDArray[np.float32]:
        if isinstance(query, Path) and not query.is_file():
            raise SearchError(f"there is no file {query}.")
        value = query.read_bytes() if isinstance(query, Path) else query
        fingerprint = self.table.fingerprints().get(feature.name, "")
        encoder = fitted_encoder(feature, self.table.uri, fingerprint)
        if encoder.is_missing(value):
            raise SearchError("the query is empty: write what is to be found.")
        encoded = encoder.encode_safely([value])
        for reject in encoded.rejects.values():
            raise SearchError(f"{told} cannot be encoded: {reject}.")
        vector: NDArray[np.float32] = encoded.vectors[0]
        if not vector.any():
            raise SearchError(
                f"the encoder of {feature.name!r} knows nothing of {told}: its vector is zero. "
                f"Use other words."
            )
        return vector

    def _answer(
        self,
        units: NDArray[np.float32],
        vector: NDArray[np.floating],
        asked: str,
        count: int,
        where: str | None,
        among: NDArray[np.bool_] | None = None,
    ) -> Found:
        values, notes = None, []
        if where:
            moments = pa.repeat(pa.scalar(self.as_of, EVENT_TIME), len(self.keys))
            asked_of = self.keys.set_column(self.keys.num_columns - 1, TIME, moments)
            passed, values = matching(self.store, self.view, asked_of, where)
            among = passed if among is None else among & passed
            if not among.any():
                notes.append(f"no key fulfils {where!r}")
        rows, cosines = nearest(units, vector, count, among)
        if len(self.without):
            notes.append(f"{len(self.without):,} keys have no vector and cannot be found")
        return Found(
            self.view.name,
            self.feature.name,
            asked,
            self.as_of,
            len(self.units) if among is None else int(among.sum()),
            self._hits(rows, cosines, values),
            notes,
        )

    def _hits(
        self, rows: NDArray[np.intp], cosines: NDArray[np.float64], values: pa.Table | None
    ) -> list[Hit]:
        found = self.keys.take(pa.array(rows))
        keys = found.drop([TIME]).to_pylist()
        times = found.column(TIME).to_pylist()
        told: list[dict[str, Any]] = [{}] * len(rows)
        if values is not None and values.num_columns:
            told = values.take(pa.array(rows)).to_pylist()
        contents = self.contents(found)
        return [
            Hit(key, float(cosine), time, one, {name: v[row] for name, v in contents.items()})
            for row, (key, cosine, time, one) in enumerate(
                zip(keys, cosines, times, told, strict=True)
            )
        ]

    def contents(self, found: pa.Table) -> dict[str, list[Any]]:
        """Read what the vectors of some rows of `keys` were made of, by column of the source."""
        raw = RawContents(self.store, found.to_pandas())
        features = {one.column: one.name for one in reversed(self.spec.features)}
        return {
            column: raw.read(features[column])
            for column in dict.fromkeys(one.column for one in self.spec.features)
        }


def key_parts(key: Key, names: Sequence[str], view: str) -> dict[str, Any]:
    """Read a key of a view with some join keys; see `VectorSearch.similar`.

    Raises
    ------
    SearchError
        If it does not name them.

    Examples
    --------
    >>> key_parts("city=5,shop=ann", ["city", "shop"], "deep"), key_parts(5, ["city"], "deep")
    ({'city': '5', 'shop': 'ann'}, {'city': 5})
    """
    if isinstance(key, Mapping):
        parts = dict(key)
    elif len(names) == 1:
        parts = {names[0]: key}
    else:
        parts = dict(part.partition("=")[::2] for part in str(key).split(","))
    if set(parts) != set(names):
        raise SearchError(
            f"the key {key!r} does not name the join keys of view {view!r}: write "
            f"{','.join(f'{name}=…' for name in names)}."
        )
    return parts


def _first(spec: DeepViewSpec, reads: str | None) -> DeepFeature:
    """Return the first feature of a view that is made of texts, or of files."""
    for feature in spec.features:
        if reads is None or _reads(feature) == reads:
            return feature
    raise FeatureNotFound(
        f"no feature of view {spec.name!r} is made of {reads}s. It has: "
        f"{', '.join(one.name for one in spec.features)}."
    )


def _reads(feature: DeepFeature) -> str:
    return "text" if build_encoder(feature).modality == "text" else "file"


def similar(
    store: FeatureStore | str | Path,
    view: str,
    key: Key,
    *,
    feature: str | None = None,
    count: int = 10,
    where: str | None = None,
    as_of: datetime | None = None,
) -> Found:
    """Open the vectors of a view and search once; see `VectorSearch.similar`."""
    return VectorSearch(store, view, feature, as_of=as_of).similar(key, count, where)


def search(
    store: FeatureStore | str | Path,
    view: str,
    query: str | bytes | Path,
    *,
    feature: str | None = None,
    count: int = 10,
    where: str | None = None,
    as_of: datetime | None = None,
) -> Found:
    """Open the vectors of a view and search once; see `VectorSearch.search`."""
    if not isinstance(query, Path) and not query.strip():
        raise SearchError("the query is empty: write what is to be found.")
    reads = "text" if isinstance(query, str) else "file"
    return VectorSearch(store, view, feature, as_of=as_of, reads=reads).search(query, count, where)
