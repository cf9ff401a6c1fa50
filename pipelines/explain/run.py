"""From a key to the parts of its texts and photos that move a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from deepfeast.pipelines.explain.answer import Explained, Response
from deepfeast.pipelines.explain.probes import learn
from deepfeast.pipelines.lift.run import read_labels
from deepfeast.pipelines.search.current import CurrentRows
from deepfeast.pipelines.search.vectors import key_parts
from deepfeast.pipelines.search.where import TIME
from deepfeast.transforms.cells.content import read_contents
from deepfeast.transforms.embeddings.state import fitted_encoder
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.encoders.column import open_reader
from deepfeast.transforms.errors import ExplainError, Reject
from deepfeast.transforms.feast_api import open_store
from deepfeast.transforms.history.beside import raw_column
from deepfeast.transforms.occlusion.effects import PARTS, PATCHES, part_effects
from deepfeast.transforms.times import in_utc
from deepfeast.transforms.views import find_deep_view

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore

    from deepfeast.transforms.encoders import Encoder
    from deepfeast.transforms.features import DeepFeature, DeepViewSpec

Key = Mapping[str, Any] | str | int


def explain(
    store: FeatureStore | str | Path,
    view: str,
    key: Key,
    labels: Path | pd.DataFrame,
    target: str,
    *,
    features: Sequence[str] = (),
    groups: str | None = None,
    log_target: bool = False,
    as_of: datetime | None = None,
    parts: int = PARTS,
    patches: int = PATCHES,
) -> Explained:
    """Find the parts of a key's texts and photos that a prediction of the target stands on.

    A linear probe learns the target from each feature by itself, without the key's own labels.
    Then each sentence is left out, and each patch of a photo covered, in turn; what is left is
    encoded anew, and nothing is written.

    Parameters
    ----------
    store : FeatureStore, str or Path
    view : str
        Name of a deep feature view.
    key : mapping of str to object, str or int
        By join key. Of one join key its value is enough; of several, a text
        ``"city=5,shop=ann"`` is, too.
    labels : Path or DataFrame
        Entity keys, ``event_timestamp`` and the target; without times, vectors are those of now.
    target : str
    features : sequence of str
        By default all of the view.
    groups : str, optional
        Column of the labels: rows of one group are held out together.
    log_target : bool
        The probe learns the logarithm; effects are in the target's unit all the same.
    as_of : datetime, optional
        The key's row of then; by default its latest.
    parts : int
        Parts of a text, at most.
    patches : int
        Along the shorter side of a photo.

    Returns
    -------
    Explained

    Raises
    ------
    FeatureNotFound
        If there is no such view or feature.
    NeverEmbedded
        If the view has no vectors yet.
    ExplainError
        If there is no such key, no text or photo of it, or nothing to learn from.
    """
    if parts < 2 or patches < 2:
        raise ExplainError(f"{parts} parts, {patches} patches: at least 2 are to be told apart.")
    store = open_store(store)
    deep, spec = find_deep_view(store, view)
    asked = [spec.feature(name) for name in features] or list(spec.features)
    table = embedding_table(store, deep)
    as_of = in_utc(as_of or datetime.now(timezone.utc))
    row = _row(CurrentRows.of(deep, table, as_of), key, view, as_of)
    own = {name: row.column(name)[0].as_py() for name in row.column_names if name != TIME}
    frame = read_labels(labels)
    fingerprints = table.fingerprints()
    responses, failures = [], []
    for feature in asked:
        encoder = fitted_encoder(feature, table.uri, fingerprints.get(feature.name, ""))
        try:
            content = _content(store, deep, spec, feature, encoder, row)
        except Reject as reject:
            failures.append(f"{feature.name} cannot be explained: {reject}")
            continue
        probe = learn(
            store, view, feature.name, frame, target, own, groups=groups, log_target=log_target
        )
        try:
            response = _response(feature, content, encoder, probe, parts, patches)
        except Reject as reject:
            failures.append(f"{feature.name} cannot be explained: {reject}")
            continue
        responses.append(response)
        if probe.blind:
            failures.append(
                f"from {feature.name} the probe predicts {target} no better than if it knew "
                f"nothing: what it responds to is luck"
            )
    if not responses:
        told = ", ".join(f"{name}={value}" for name, value in own.items())
        raise ExplainError(f"{view} {told}: {'; '.join(failures)}")
    return Explained(view, own, row.column(TIME)[0].as_py(), target, responses, failures)


def _row(current: CurrentRows, key: Key, view: str, as_of: datetime) -> pa.Table:
    """Return the key and the event time of one current row."""
    keys, _ = current.read([])
    names = [name for name in keys.column_names if name != TIME]
    wanted = key_parts(key, names, view)
    same = np.ones(len(keys), bool)
    for name, value in wanted.items():
        texts = pc.cast(keys.column(name), pa.string())
        same &= pc.equal(texts, str(value)).fill_null(False).to_numpy(zero_copy_only=False)
    if not same.any():
        told = ", ".join(f"{name}={value}" for name, value in wanted.items())
        example = keys.slice(0, 1).select(names).to_pylist()
        there = ",".join(f"{name}={value}" for name, value in (example or [{}])[0].items())
        raise ExplainError(
            f"there is no {told} among the {len(keys):,} keys of {view} as of "
            f"{as_of:%Y-%m-%d %H:%M} UTC. A key that is there: {there or 'none'}."
        )
    return keys.slice(int(np.argmax(same)), 1)


def _content(
    store: FeatureStore,
    view: Any,
    spec: DeepViewSpec,
    feature: DeepFeature,
    encoder: Encoder,
    row: pa.Table,
) -> Any:
    """Read the text or the photos that a feature of a row is made of."""
    if encoder.modality not in ("text", "image"):
        what = f"it is made of {encoder.modality!r}; parts are known of texts and images"
        raise Reject("no_parts", what)
    column, root = raw_column(store, view, spec, feature.column, row.to_pandas())
    contents = read_contents(column, open_reader(feature, encoder, root))
    for reject in contents.rejects.values():
        raise reject
    if contents.values[0] is None:
        raise Reject("missing", f"its {feature.column} is empty")
    return contents.values[0]


def _response(
    feature: DeepFeature, content: Any, encoder: Encoder, probe: Any, parts: int, patches: int
) -> Response:
    encoded = encoder.encode_safely([content])
    for reject in encoded.rejects.values():
        raise reject
    output, unit = probe.output(encoded.vectors[0])

    def predict(vectors: Any) -> Any:
        return probe.predict(vectors, output)

    noise = probe.noises[output]
    found = part_effects(content, encoder, predict, most=parts, patches=patches, noise=noise)
    whole = float(predict(encoded.vectors)[0])
    return Response(feature.name, feature.column, content, unit, whole, probe.skill, found)
