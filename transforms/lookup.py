"""The training frame's columns for entities of now, read from the online store.

Feast answers with lists of lists in no stated order, and serves values past their ttl. A lookup
answers with the columns a model was trained on, in their order, as a frame or a float32 matrix.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.columns import ServiceColumn, service_columns
from deepfeast.transforms.errors import JoinError, SignatureMismatch
from deepfeast.transforms.feast_api import open_store
from deepfeast.transforms.online.cells import Asked, cast_cells, read_rows, typed
from deepfeast.transforms.online.counts import Counts
from deepfeast.transforms.online.protos import to_numbers, to_scalars, to_vectors
from deepfeast.transforms.online.view import (
    ENCODED,
    GIVEN,
    NULL,
    REJECTED,
    Found,
    OnlineView,
    open_views,
)
from deepfeast.transforms.signatures import check_signature, describe, load_signature

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore
    from numpy.typing import NDArray

    from deepfeast.transforms.encoders import Encoder
    from deepfeast.transforms.features import DeepFeature
    from deepfeast.transforms.online.seal import Seal

Rows = Any  # a list of dicts, or a DataFrame


class OnlineFeatures:
    """Looks up a feature service's columns, as a model was trained on them.

    Parameters
    ----------
    store : FeatureStore or path of a Feast repo
    service : str or sequence of str
        A feature service, or references ``"view:feature"``.
    expect : dict or path, optional
        Signature of what the model was trained on: ``frame.attrs["deepfeast"]`` of its training
        frame, or the file that `save_signature` wrote.
    full_feature_names : bool
        As the training frame was made.

    Attributes
    ----------
    columns : list of str
        The flat columns, in order.
    signature : dict
        Of what is served: columns, and the fingerprints that the online store names, as it says
        now; those of the embedding table where the store says nothing.

    counts : Counts
        How many values were present, missing, expired, encoded…, and the time that lookups took;
        Prometheus is told the same.

    Raises
    ------
    SourceNotFound
        If the folder is no Feast repo.
    FeatureNotFound
        If there is no such service.
    SignatureMismatch
        If what is served differs from `expect`; it names the difference. A lookup asks again with
        every answer what the online store's rows were made with.

    Examples
    --------
    >>> online = OnlineFeatures("feature_repo", "price_model")  # doctest: +SKIP
    >>> online.frame([{"listing_id": "f9dc"}])  # doctest: +SKIP
    """

    def __init__(
        self,
        store: FeatureStore | str | Path,
        service: str | Sequence[str],
        *,
        expect: dict[str, Any] | str | Path | None = None,
        full_feature_names: bool = False,
    ):
        self.store = open_store(store)
        self.features = service_columns(self.store, service, full_feature_names=full_feature_names)
        self.columns = [name for feature in self.features for name in feature.columns]
        self._service = service if isinstance(service, str) else None
        self._kinds = {f.name: f.dtype.to_value_type() for f in self.features}
        self._full_names = full_feature_names
        self._encoders: dict[str, Encoder] = {}
        self.counts = Counts(self._service or "")
        self._views, self._computed = open_views(self.store, service, self.features)
        if expect is not None:
            self._expect(expect if isinstance(expect, dict) else load_signature(expect))

    @property
    def signature(self) -> dict[str, Any]:
        told: dict[str, str | None] = {}
        for view in self._views:
            seal = view.table.seal() if view.sealed else None
            if seal is not None:
                told |= {f.reference: seal.fingerprints.get(f.feature) for f in view.features}
        return describe(self.store, self.features, self._service, told)

    def _expect(self, trained: dict[str, Any]) -> None:
        """Refuse what a model was not trained on, now and in every answer."""
        told = dict(trained["fingerprints"])
        sealed: dict[str, str | None] = {}
        for view in self._views:
            if view.sealed:
                here = [f for f in view.features if f.reference in told]
                view.expected = {f.feature: told.pop(f.reference) for f in here}
                sealed |= dict.fromkeys(f.reference for f in view.features)
        columns = describe(self.store, self.features, self._service, sealed)
        check_signature({**trained, "fingerprints": told}, columns)
        for view in self._views:
            if view.sealed:
                view.check([view.table.seal_bytes()])

    def frame(
        self,
        rows: Rows,
        *,
        statuses: bool = False,
        push: bool = False,
        now: datetime | None = None,
        bad_rows: str = "raise",
    ) -> Any:
        """Look rows up as a DataFrame.

        Parameters
        ----------
        rows : list of dict, or DataFrame, of length n_rows
            Entity keys; a DataFrame may be of polars, too. What the online store does not have
            may stand beside them: the raw column of a deep feature (it is encoded on the spot,
            by the encoder of the view's embedding table), or a handcrafted feature by its name.
        statuses : bool
            Return the statuses, too.
        push : bool
            Write vectors that were encoded on the spot to the online store.
        now : datetime, optional
            The time that ttl is counted from, and that is pushed; by default the present.
        bad_rows : {"raise", "reject"}
            What to do with a row that is none, or whose key or given feature is not of its
            declared type: raise an error that names all of them, or give it no values (its
            status is ``rejected``) and answer the others. Raw values that cannot be encoded
            never raise.

        Returns
        -------
        DataFrame of shape (n_rows, n_columns)
            The training frame's feature columns, in its order. NaN for what is missing, null or
            older than its view's ttl. The index is that of `rows`.
        DataFrame of shape (n_rows, n_features)
            With `statuses`: ``present``, ``missing``, ``expired``, ``null``, ``given``,
            ``encoded`` or ``rejected``.

        Raises
        ------
        JoinError
            If the rows lack an entity key; it names what they have. If rows are bad; it names
            each, its key, what was expected and what was given.
        HalfMaterialized
            If a deep view is being written anew, or the run that did so was killed.
        SignatureMismatch
            If the online store holds other vectors than those expected.
        """
        import pandas as pd

        started = time.perf_counter()
        found, index = self._find(rows, push, now, bad_rows)
        frame = self._assemble(found, index)
        self.counts.add(found.values(), started)
        if not statuses:
            return frame
        told = {feature.name: found[feature.name].statuses() for feature in self.features}
        return frame, pd.DataFrame(told, index=index)

    def matrix(
        self,
        rows: Rows,
        *,
        push: bool = False,
        now: datetime | None = None,
        bad_rows: str = "raise",
    ) -> tuple[NDArray[np.float32], list[str]]:
        """Look rows up as one matrix, without a DataFrame; parameters as in `frame`.

        Returns
        -------
        X : ndarray of shape (n_rows, n_columns), float32
            NaN for what is missing.
        columns : list of str

        Raises
        ------
        JoinError
            If a feature is no number.
        """
        started = time.perf_counter()
        found, index = self._find(rows, push, now, bad_rows)
        X = np.empty((len(index), len(self.columns)), np.float32)
        start = 0
        for feature in self.features:
            stop = start + len(feature.columns)
            if feature.dim is None:
                X[:, start] = self._numbers(feature, found[feature.name])
            else:
                self._vectors(feature, found[feature.name], X[:, start:stop])
            start = stop
        self.counts.add(found.values(), started)
        return X, list(self.columns)

    def _find(
        self, rows: Rows, push: bool, now: datetime | None, bad_rows: str
    ) -> tuple[dict[str, Found], Any]:
        if bad_rows not in ("raise", "reject"):
            raise JoinError(f"bad_rows={bad_rows!r}: expected 'raise' or 'reject'.")
        asked = read_rows(rows)
        moment = now or datetime.now(timezone.utc)
        keys = [view.keys(asked) for view in self._views]
        found: dict[str, Found] = {}
        for view, its_keys in zip(self._views, keys, strict=True):
            answer = view.read(
                [None if r in asked.bad else k for r, k in enumerate(its_keys)], moment
            )
            for feature in answer.values():
                feature.bad.update(asked.bad)
            found |= answer
        for view in self._views:
            self._give(view, asked, found)
        if bad_rows == "raise":
            asked.refuse()
        for view in self._views:
            self._encode_missing(view, asked, found)
            if push:
                view.push(found, moment)
        if self._computed:
            found |= self._ask_feast(asked, moment)
        return found, asked.index

    def _give(self, view: OnlineView, asked: Asked, found: dict[str, Found]) -> None:
        """Take handcrafted features from the rows where the store has none."""
        for feature in view.features:
            cells = asked.columns.get(feature.feature)
            if cells is None or view.deep(feature) or feature.feature in view.join_columns:
                continue
            answer = found[feature.name]
            rows = [row for row in answer.gaps if cells[row] is not None]
            kind = self._kinds[feature.name].name
            values, bad = cast_cells([cells[row] for row in rows], kind)
            for at, (row, value) in enumerate(zip(rows, values, strict=True)):
                if at in bad:
                    answer.bad.add(row)
                    asked.bad.setdefault(row, f"feature {feature.feature!r}: {bad[at]}")
                else:
                    answer.filled[row] = GIVEN, value

    def _encode_missing(self, view: OnlineView, asked: Asked, found: dict[str, Found]) -> None:
        """Encode raw values from the rows where the store has no vector."""
        for feature in view.features:
            deep = view.deep(feature)
            cells = asked.columns.get(deep.column) if deep else None
            if deep is None or cells is None:
                continue
            answer = found[feature.name]
            rows = [row for row in answer.gaps if cells[row] is not None]
            if rows:
                seal = answer.seen.seal if answer.seen else None
                encoder = self._encoder(view, feature, deep, seal)
                told = self._encode(view, deep, encoder, [cells[row] for row in rows])
                answer.filled.update(zip(rows, told, strict=True))

    def _encode(
        self, view: OnlineView, deep: DeepFeature, encoder: Encoder, values: list[Any]
    ) -> list[tuple[str, NDArray[np.float32]]]:
        """Encode raw values as the embed job does, cell by cell."""
        from deepfeast.transforms.cells.content import read_cells
        from deepfeast.transforms.encoders.column import encode_contents, open_reader

        reader = open_reader(deep, encoder, self._root(view, deep))
        encoded = encode_contents(read_cells(values, reader), encoder)
        return [
            (REJECTED if row in encoded.rejects else NULL if np.isnan(v[0]) else ENCODED, v)
            for row, v in enumerate(encoded.vectors)
        ]

    def _encoder(
        self, view: OnlineView, feature: ServiceColumn, deep: DeepFeature, seal: Seal | None
    ) -> Encoder:
        """Return the encoder that the view's online rows were made with.

        Where the store says nothing, that of its embedding table.
        """
        told = seal.fingerprints.get(deep.name) if seal else None
        name = f"{feature.reference} {told}"
        if name not in self._encoders:
            at_hand = {feature.reference: told} if seal else None
            table = describe(self.store, [feature], None, at_hand)["fingerprints"]
            fingerprint = table[feature.reference]
            self._encoders[name] = view.encoder(self.store.config, deep, fingerprint)
        return self._encoders[name]

    def _root(self, view: OnlineView, deep: DeepFeature) -> str:
        """Return the folder that image paths are relative to: as in the embed job, the source's."""
        from deepfeast.transforms.warehouse.open import photo_root

        if deep.root or view.spec is None:
            return deep.root or ""
        return photo_root(self.store.config, self.store.get_data_source(view.spec.source))

    def _ask_feast(self, asked: Asked, now: datetime) -> dict[str, Found]:
        """Have Feast compute the features of on-demand views, of the good rows."""
        from deepfeast.transforms.online.fresh import FreshStore

        good = [row for row in range(len(asked)) if row not in asked.bad]
        columns = {name: [cells[row] for row in good] for name, cells in asked.columns.items()}
        found = {f.name: Found([None] * len(asked), bad=set(asked.bad)) for f in self._computed}
        if not good:
            return found
        references = [feature.reference for feature in self._computed]
        fresh = FreshStore(self.store.provider.online_store, now)
        proto = fresh.features(self.store, references, columns, self._full_names).proto
        answers = dict(zip(proto.metadata.feature_names.val, proto.results, strict=True))
        for feature in self._computed:
            for row, value in zip(good, answers[feature.name].values, strict=True):
                found[feature.name].values[row] = value.SerializeToString()
        return found

    def _vectors(
        self, feature: ServiceColumn, found: Found, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        assert feature.dim is not None
        try:
            matrix = to_vectors(found.values, feature.dim, self._kinds[feature.name], out)
        except ValueError as error:
            raise SignatureMismatch(
                f"{feature.reference} is not what it was when this lookup was opened: {error}. "
                f"Open it again."
            ) from error
        for row, (_, vector) in found.filled.items():
            matrix[row] = vector
        return matrix

    def _numbers(self, feature: ServiceColumn, found: Found) -> NDArray[np.float64]:
        try:
            numbers = to_numbers(found.values, self._kinds[feature.name])
            for row, (_, value) in found.filled.items():
                numbers[row] = value
        except (ValueError, TypeError) as error:
            raise JoinError(
                f"feature {feature.reference} is {feature.dtype}: a matrix holds numbers. Leave it "
                f"out of the service, or use frame()."
            ) from error
        return numbers

    def _assemble(self, found: dict[str, Found], index: Any) -> pd.DataFrame:
        """Put the columns side by side: vectors as blocks, what lies between them as one frame."""
        import pandas as pd

        parts: list[pd.DataFrame] = []
        plain: dict[str, Any] = {}
        for feature in self.features:
            if feature.dim is None:
                plain[feature.name] = self._column(feature, found[feature.name])
                continue
            if plain:
                parts.append(pd.DataFrame(plain, index=index, copy=False))
                plain = {}
            matrix = self._vectors(feature, found[feature.name])
            parts.append(
                pd.DataFrame(matrix, index=index, columns=self._names(feature), copy=False)
            )
        if plain or not parts:
            parts.append(pd.DataFrame(plain, index=index, copy=False))
        return parts[0] if len(parts) == 1 else pd.concat(parts, axis=1, copy=False)

    def _names(self, feature: ServiceColumn) -> pd.Index:
        import pandas as pd

        return pd.Index(feature.columns)

    def _column(self, feature: ServiceColumn, found: Found) -> Any:
        kind = self._kinds[feature.name]
        values = to_scalars(found.values, kind)
        for row, (_, value) in found.filled.items():
            values[row] = value
        return typed(values, kind.name)
