"""``deepfeast lift``: from labels and a feature service to the verdict."""

from __future__ import annotations

import hashlib
import re
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.ask.arms import WORDS
from deepfeast.pipelines.lift.ask.contents import RawContents
from deepfeast.pipelines.lift.ask.groups import FILES, label_groups, read_table
from deepfeast.pipelines.lift.ask.horizon import fit_notes
from deepfeast.pipelines.lift.ask.problem import Problem, read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.measure.responses import find_responses, telling_features
from deepfeast.pipelines.lift.measure.result import LiftResult, measure_lift
from deepfeast.pipelines.lift.measure.work import Progress
from deepfeast.pipelines.lift.storage import kept_as, storage_costs
from deepfeast.pipelines.lift.tell.save import save
from deepfeast.transforms.arrow import flat_names
from deepfeast.transforms.copies import of_encoder
from deepfeast.transforms.errors import (
    ColumnNotFound,
    DeepfeastError,
    EncoderError,
    LiftError,
)
from deepfeast.transforms.history.retrieval import label_times

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore

    from deepfeast.transforms.encoders import Encoder

TIMESTAMP = "event_timestamp"
TIMED_VALUES = 24
WIDE = 64


def run_lift(
    store: FeatureStore | str | Path,
    labels: Path | pd.DataFrame,
    question: Question,
    *,
    service: str | Sequence[str],
    out: Path | None = None,
    columns: Sequence[str] = (),
    models: Mapping[str, Any] | None = None,
    encoders: Sequence[str] = (),
    column: str | None = None,
    storage: str | None = None,
    max_rows: int | None = None,
    progress: Progress | None = None,
) -> LiftResult:
    """Join features to labels, measure the lift, and write the report.

    Parameters
    ----------
    store : FeatureStore, str or Path
        The store, or the folder of its repo.
    labels : Path or DataFrame
        Parquet or CSV: entity keys, ``event_timestamp``, the target, and what `question` and
        `columns` name. Without ``event_timestamp`` the question's `time` stands for it.
    question : Question
        What is asked: target, groups, metric, splits.
    service : str or sequence of str
        One feature service, or two whose features are put together.
    out : Path, optional
        Folder for ``lift.html`` and ``lift.json``; nothing is written without it.
    columns : sequence of str
        Columns of the labels that the model gets, too.
    models : mapping of str to estimator or str, optional
        A str names a known model: ``{"LightGBM": "lightgbm"}``. By default XGBoost and a random
        forest.
    encoders : sequence of str
        Other encoders to try on the same column; their vectors are cached in `out`.
    column : str, optional
        The raw column they read; needed only where several could be meant.
    storage : {"int8"}, optional
        Ask what it costs to keep the vectors so: each has an arm as it is, and one as it would be.
    max_rows : int, optional
        Draw so many labels at random, and leave the others.
    progress : callable, optional
        As in `compare`.

    Returns
    -------
    LiftResult

    Raises
    ------
    LiftError
        If the labels or the model cannot answer the question.
    """
    from deepfeast.transforms.feast_api import open_store

    started = clock.perf_counter()
    store = open_store(store)
    name = question.name or (labels.name if isinstance(labels, Path) else "")
    rows = read_labels(labels, question.time)
    _require(rows, question.target, question.time, columns)
    total = len(rows)
    if max_rows is not None and max_rows < total:
        rows = rows.sample(max_rows, random_state=question.seed).sort_index()
        rows = rows.reset_index(drop=True)
    question = replace(question, groups=_groups(rows, question.groups))
    frame, deep, handcrafted = _join(store, rows, service)
    raw = RawContents(store, rows)
    added = _other_encoders(raw, frame, deep, encoders, column, out)
    kept = kept_as(storage, frame, deep) if storage else {}
    added |= kept
    if added:
        import pandas as pd

        frame = pd.concat([frame, *added.values()], axis=1)
        deep |= {feature: list(part.columns) for feature, part in added.items()}
    known = [feature for feature in deep if feature not in added]
    texts = {
        feature: raw.read(feature)
        for feature in known
        if feature in raw and raw.modality(feature) == "text"
    }
    question = replace(
        question,
        name=name,
        handcrafted=[*handcrafted, *columns],
        alternatives=[*question.alternatives, *added],
    )
    told = {feature: values for feature, values in texts.items() if any(values)}
    problem = read_problem(frame, question, deep, told)
    problem.copies.update(_near_copies(raw, problem, known))
    seconds = {feature: _encode_seconds(raw, feature) for feature in problem.deep if feature in raw}
    result = measure_lift(
        problem,
        question,
        models,
        contents=lambda feature, wanted: (
            raw.read(feature, wanted) if feature in raw else [None] * len(wanted)
        ),
        encode_seconds={feature: took for feature, took in seconds.items() if took is not None},
        progress=progress,
    )
    telling = [feature for feature in telling_features(result.comparison) if feature in raw]
    result.responses = find_responses(
        problem,
        result.moved,
        telling,
        result.contents,
        lambda feature: _encoder_of_table(store, raw, feature),
        {feature: took for feature, took in seconds.items() if took is not None},
    )
    seen = {one.feature for one in result.responses}
    result.notes += [
        f"What {feature} responds to was not looked at: it would have taken too long, or its rows "
        f"have nothing to leave out. Ask for one row: deepfeast explain {raw.view(feature)} KEY"
        for feature in telling
        if feature not in {*seen, *raw.failures}
    ]
    result.notes += [
        f"No words and no examples for {feature}: {why}" for feature, why in raw.failures.items()
    ]
    times = frame[question.time or TIMESTAMP]
    result.notes += fit_notes(store, known, times, forward=question.time is not None)
    if rows.attrs.get("as of now"):
        result.notes.append(
            f"The labels have no {TIMESTAMP}: every feature is as of now. Could it all be known "
            f"before the target was?"
        )
    if "columns" in question.representations:
        result.notes += _words_to_declare(raw, list(told))
    if len(rows) < total:
        result.notes.append(f"{len(rows):,} of {total:,} labels were drawn at random.")
    result.seconds = clock.perf_counter() - started
    if storage:
        result.notes += storage_costs(storage, kept, result.comparison)
    if out is not None:
        save(result, out)
    return result


def _words_to_declare(raw: RawContents, texts: Sequence[str]) -> list[str]:
    """Say how the words, which the form "columns" has beside a vector, become a deep feature."""
    have = {raw.feature(one).column for one in texts if "tfidf" in raw.feature(one).encoder}
    columns = dict.fromkeys(raw.feature(one).column for one in texts)
    return [
        f'The words of {column} stand beside its vector in the form "columns". To have them in '
        f'your own model, add: DeepFeature("{column}_words", column="{column}", '
        f'encoder="tfidf:{WORDS}")'
        for column in columns
        if column not in have
    ]


def read_labels(labels: Path | pd.DataFrame, time: str | None = None) -> pd.DataFrame:
    """Read labels from Parquet or CSV; without event times they get those of another column.

    Raises
    ------
    SourceNotFound
        If there is no such file.
    """
    if isinstance(labels, Path):
        labels = read_table(labels, "labels")
    if TIMESTAMP not in labels.columns and time in labels.columns:
        labels = labels.assign(**{TIMESTAMP: labels[time]})
    if TIMESTAMP not in labels.columns:
        labels = labels.assign(**{TIMESTAMP: label_times(labels)})
        labels.attrs["as of now"] = True
    return labels.reset_index(drop=True)


def _groups(labels: pd.DataFrame, groups: Any) -> Any:
    """Find the groups of label rows; a column of them stays one."""
    if isinstance(groups, str):
        groups = [groups]
    if groups is None or len(groups) in (0, len(labels)):
        return groups if groups is None or len(groups) else None
    if len(groups) == 1 and not groups[0].endswith(FILES):
        _require(labels, groups[0])
        return groups[0]
    return label_groups(labels, groups)


def _near_copies(
    raw: RawContents, problem: Problem, features: Sequence[str]
) -> dict[str, tuple[float | None, str]]:
    """Say of deep features how near copies are, and the command that writes their groups.

    Vectors of few numbers are near to one another by chance: of these none is estimated.
    """
    found: dict[str, tuple[float | None, str]] = {}
    for feature in features:
        if feature in raw and feature in problem.deep:
            known = of_encoder(raw.feature(feature))
            if known or len(problem.deep[feature]) >= WIDE:
                command = f"deepfeast duplicates {raw.view(feature)} --feature {feature}"
                found[feature] = (known[0] if known else None, command)
    return found


def _require(labels: pd.DataFrame, *named: Any) -> None:
    for name in named:
        for column in [name] if isinstance(name, str) else name or ():
            if column not in labels.columns:
                raise ColumnNotFound.of(column, "the labels", map(str, labels.columns))


def _join(
    store: FeatureStore, labels: pd.DataFrame, service: str | Sequence[str]
) -> tuple[pd.DataFrame, dict[str, list[str]], list[str]]:
    """Return the training frame, the flat columns of deep features, and the other features."""
    from deepfeast.transforms.columns import service_columns
    from deepfeast.transforms.join import training_frame

    services = [service] if isinstance(service, str) else list(service)
    parts = [part for name in services for part in service_columns(store, name)]
    if len(services) == 1:
        frame = training_frame(store, labels, service=services[0])
    else:
        references = list(dict.fromkeys(part.reference for part in parts))
        frame = training_frame(store, labels, features=references)
    deep = {part.feature: list(part.columns) for part in parts if part.dim}
    if not deep:
        raise LiftError(
            f"the service {', '.join(services)} has no deep feature, so there is no lift to "
            f"measure. Name the service that has them, or both services."
        )
    other = list(dict.fromkeys(part.name for part in parts if not part.dim))
    if frame[[*other, *(column for part in deep.values() for column in part)]].isna().all(None):
        times = frame[TIMESTAMP]
        raise LiftError(
            f"no feature is known at the time of any of the {len(frame)} labels, which run from "
            f"{times.min()} to {times.max()}. Are they older than the features, or their entity "
            f"keys written differently?"
        )
    return frame, deep, other


def _encode_seconds(raw: RawContents, feature: str) -> float | None:
    """Time the encoder on a few values: seconds for 1,000. None where it cannot be had."""
    from deepfeast.transforms.encoders import build_encoder

    try:
        encoder = build_encoder(replace(raw.feature(feature), reduce=None))
        rows = range(min(2 * TIMED_VALUES, len(raw.labels)))
        values = [value for value in raw.read(feature, rows) if value is not None]
        values = values[:TIMED_VALUES]
        if len(values) < 2:
            return None
        encoder.encode_safely(values[:1])  # loads the network
        started = clock.perf_counter()
        encoder.encode_safely(values)
    except DeepfeastError:
        return None
    return (clock.perf_counter() - started) * 1000 / len(values)


def _encoder_of_table(store: FeatureStore, raw: RawContents, feature: str) -> Encoder:
    """Return the encoder of a deep feature as its table has it: with what was fitted."""
    from deepfeast.transforms.embeddings.state import fitted_encoder
    from deepfeast.transforms.embeddings.table import embedding_table
    from deepfeast.transforms.views import find_deep_view

    table = embedding_table(store, find_deep_view(store, raw.view(feature))[0])
    fingerprint = table.fingerprints().get(feature, "")
    return fitted_encoder(raw.feature(feature), table.uri, fingerprint)


def _other_encoders(
    raw: RawContents,
    frame: pd.DataFrame,
    deep: Mapping[str, list[str]],
    encoders: Sequence[str],
    column: str | None,
    out: Path | None,
) -> dict[str, pd.DataFrame]:
    """Encode a column with other networks; their vectors stand beside the declared ones."""
    import pandas as pd

    from deepfeast.transforms.encoders import get_encoder

    added = {}
    for named in encoders:
        encoder = get_encoder(named)
        feature = _column_for(raw, deep, encoder, named, column)
        vectors = _cached(encoder, raw.read(feature), out)
        name = f"{feature}__{re.sub('[^a-zA-Z0-9]+', '_', named).strip('_')}"
        added[name] = pd.DataFrame(
            vectors, columns=flat_names(name, vectors.shape[1]), index=frame.index
        )
    return added


def _column_for(
    raw: RawContents,
    deep: Mapping[str, list[str]],
    encoder: Encoder,
    named: str,
    column: str | None,
) -> str:
    fitting = [
        feature
        for feature in deep
        if feature in raw
        and raw.modality(feature) == encoder.modality
        and column in (None, raw.feature(feature).column)
    ]
    if len({raw.feature(feature).column for feature in fitting}) == 1:
        return fitting[0]
    have = ", ".join(f"{raw.feature(f).column} ({raw.modality(f)})" for f in deep if f in raw)
    raise LiftError(
        f"which column should {named!r} read? It takes {encoder.modality}; the service's deep "
        f"features read {have}. Name one with --column."
    )


def _cached(encoder: Encoder, values: Sequence[Any], out: Path | None) -> Any:
    """Encode each distinct value once, and never again for the same encoder."""
    from deepfeast.transforms.cells.content import content_hash

    keys = [None if value is None else content_hash(value).hex() for value in values]
    distinct = {key: value for key, value in zip(keys, values, strict=True) if key is not None}
    if not distinct:
        raise EncoderError("there is nothing to encode: no label row has a value in that column.")
    everything = hashlib.blake2b("".join(sorted(distinct)).encode(), digest_size=8).hexdigest()
    path = out / "vectors" / f"{encoder.fingerprint[:16]}-{everything}.npy" if out else None
    order = sorted(distinct)
    if path is not None and path.is_file():
        vectors = np.load(path)
    else:
        vectors = encoder.encode_safely([distinct[key] for key in order]).vectors
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, vectors)
    place = {key: number for number, key in enumerate(order)}
    matrix = np.full((len(keys), vectors.shape[1]), np.nan, dtype=np.float32)
    for row, key in enumerate(keys):
        if key is not None:
            matrix[row] = vectors[place[key]]
    return matrix
