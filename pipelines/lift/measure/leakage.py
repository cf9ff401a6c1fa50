"""Alarms: signs that a score is too good to be true of tomorrow's rows."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.copies import CHAIN, estimated
from deepfeast.transforms.nearest import near_copies, to_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.ask.splits import Split
    from deepfeast.pipelines.lift.measure.comparison import Comparison

DUPLICATES = 0.01
FEWEST_WORDS = 8
MOST_PAIRS = 1 << 21
TOO_GOOD = 0.99
CHANCE = 0.001
BOUNDED = {"r2", "roc_auc", "accuracy", "balanced_accuracy", "average_precision", "f1_macro"}


@dataclass(frozen=True)
class Alarm:
    """One sign of leakage.

    Attributes
    ----------
    kind : {"duplicates", "too good", "control", "ignored", "target in text"}
    text : str
        What was seen, and what to do about it.
    """

    kind: str
    text: str


def find_alarms(comparison: Comparison) -> list[Alarm]:
    """Look for every sign of leakage."""
    problem = comparison.problem
    return [
        *duplicates(problem, comparison.splits),
        *too_good(comparison),
        *controls(comparison),
        *ignored(comparison),
        *target_in_text(problem),
    ]


def duplicates(problem: Problem, splits: Sequence[Split]) -> list[Alarm]:
    """Find rows whose content, or a near-copy of it, is in a training set and in its test set.

    A vector stands for its content: equal contents are encoded once, and how near copies are is
    known of the encoder; see `Problem.copies`. Where it is not known, equal ones count. Short
    texts ("oak table") repeat without being copies, so they do not count, and only a share above
    1 % of the rows is an alarm.
    """
    return [
        Alarm("duplicates", told)
        for feature, columns in problem.deep.items()
        if (told := _duplicates_of(problem, splits, feature, columns))
    ]


def _duplicates_of(
    problem: Problem, splits: Sequence[Split], feature: str, columns: list[str]
) -> str:
    """Say how many copies of a feature stand on both sides; nothing where there are few."""
    least, command = problem.copies.get(feature, (None, ""))
    codes = content_codes(problem.frame[columns])
    if feature in problem.texts:
        words = problem.texts[feature].fillna("").astype(str).str.split().str.len()
        codes[(words < FEWEST_WORDS).to_numpy()] = -1
    pairs = np.empty((2, 0), np.intp)
    if feature in problem.copies:
        pairs, least = _near(problem.vectors[feature], codes, least)
    there = np.zeros((2, len(codes)), dtype=bool)
    for train, test in splits:
        seen = np.zeros(int(codes.max(initial=-1)) + 2, dtype=bool)
        seen[codes[train]] = True
        seen[-1] = False  # those without a code
        near = seen.copy()
        for one, other in (pairs, pairs[::-1]):
            near[one[seen[other]]] = True
        there[0, test] |= seen[codes[test]]
        there[1, test] |= near[codes[test]]
    equal, near_too = there.sum(axis=1)
    if near_too <= DUPLICATES * len(codes):
        return ""
    known = "a training row" if problem.groups is None else "a training row of another group"
    what = f"a {feature} that is also that of {known}"
    if near_too > equal:
        what = (
            f"a {feature} that is a near-copy of that of {known} (a cosine of at least "
            f"{least:.4g}; equal in {equal} of them)"
        )
    advice = "Name the column of what belongs together with --groups."
    if problem.groups is not None:
        advice = "The groups do not keep them together; is it the same thing under two ids?"
    if command:
        also = " as well" if problem.groups is not None else ""
        advice += (
            f" Or keep copies together: {command} --out groups.parquet, then deepfeast lift "
            f"--groups groups.parquet{also}."
        )
    return (
        f"{near_too} rows ({near_too / len(codes):.0%}) have {what}: the model may remember "
        f"instead of generalise. {advice}"
    )


def _near(
    vectors: NDArray[np.floating], codes: NDArray[np.int64], least: float | None
) -> tuple[NDArray[np.intp], float]:
    """Return pairs of contents that are near-copies, shape (2, n_pairs), and the least cosine.

    Where a fifth of all contents had several copies these are no copies: they are things of one
    kind, as seen by an encoder that knows others better. Then the cosine is estimated from them,
    and if that does not help, only equal contents are copies.
    """
    there = np.flatnonzero(codes >= 0)
    names, first = np.unique(codes[there], return_index=True)
    units, at = to_units(vectors[there[first]].astype(np.float32))
    if not len(units):
        return np.empty((2, 0), np.intp), 1.0
    if least is None:
        least = estimated(units)[0]
    pairs = _pairs(units, least)
    if _crowded(pairs, len(units)):
        least = max(least, estimated(units)[0])
        pairs = _pairs(units, least)
        if _crowded(pairs, len(units)):
            pairs = pairs[:, :0]
    return names[at[pairs]], least


def _crowded(pairs: NDArray[np.intp], contents: int) -> bool:
    """Tell whether so many are near to so many that these are no copies."""
    near = len(np.unique(pairs))
    return near > CHAIN * contents and pairs.shape[1] > 2 * near


def _pairs(units: NDArray[np.float32], least: float) -> NDArray[np.intp]:
    found = [np.empty((2, 0), np.intp)]
    for rows, others, _ in near_copies(units, least):
        found.append(np.stack([rows, others]))
        if sum(part.shape[1] for part in found) > MOST_PAIRS:  # so many say enough
            break
    return np.concatenate(found, axis=1)


def content_codes(vectors: pd.DataFrame) -> NDArray[np.int64]:
    """Give each distinct vector a number; -1 where there is none."""
    values = np.ascontiguousarray(vectors.to_numpy(dtype=np.float32))
    codes = np.full(len(values), -1, dtype=np.int64)
    seen: dict[bytes, int] = {}
    for row in np.flatnonzero(np.isfinite(values).all(axis=1)):
        key = hashlib.blake2b(values[row].tobytes(), digest_size=16).digest()
        codes[row] = seen.setdefault(key, len(seen))
    return codes


def too_good(comparison: Comparison) -> list[Alarm]:
    """Find arms whose score is all but perfect where the handcrafted columns' is not."""
    if comparison.problem.metric not in BOUNDED:
        return []
    baselines = [comparison.baseline(model).score for model in comparison.models]
    usual = np.nanmax(baselines) if np.isfinite(baselines).any() else 0.0
    found = [
        outcome
        for outcome in comparison.outcomes
        if outcome.arm.kind != "baseline" and outcome.score > TOO_GOOD > usual
    ]
    if not found:
        return []
    best = max(found, key=lambda outcome: outcome.score)
    return [
        Alarm(
            "too good",
            f"{best.model} with {best.arm.label} reaches {comparison.problem.metric} "
            f"{best.score:.3f}, where handcrafted columns reach {usual:.3f}. Few real tasks are so "
            f"easy: was the content written after the target was known, or from it?",
        )
    ]


def controls(comparison: Comparison) -> list[Alarm]:
    """Find shuffled vectors that help: then the method, not the data, makes the lift."""
    return [
        Alarm(
            "control",
            f"{outcome.model} gains {outcome.lift.mean:+.3f} from shuffled vectors, which hold no "
            f"information. Do not believe its other lifts either: look for rows that missing "
            f"vectors or --groups give away.",
        )
        for outcome in comparison.outcomes
        if outcome.arm.kind == "control"
        and outcome.lift
        and outcome.lift.mean > 0
        and outcome.lift.p < CHANCE
    ]


def ignored(comparison: Comparison) -> list[Alarm]:
    """Find models that score the same with and without every deep feature."""
    alarms = []
    for model in comparison.models:
        lifts = [o.lift for o in comparison.outcomes if o.model == model and o.lift]
        if lifts and all(lift.mean == 0 and lift.error == 0 for lift in lifts):
            alarms.append(
                Alarm(
                    "ignored",
                    f"{model} scores exactly the same with and without deep features: it seems to "
                    f"pick its columns by name and never sees them. Let it take all columns.",
                )
            )
    return alarms


def target_in_text(problem: Problem) -> list[Alarm]:
    """Find texts that state their own row's target more often than another row's.

    For classes, the class's name; for numbers, the number as people write it. How often
    another row's target is stated gives the share to expect by chance.
    """
    alarms = []
    for column in problem.texts:
        texts = [text.lower() if isinstance(text, str) else "" for text in problem.texts[column]]
        words = target_words(problem)
        own = np.array([_states(text, word) for text, word in zip(texts, words, strict=True)])
        order = np.random.default_rng(0).permutation(len(texts))
        others = [words[row] for row in order]
        other = np.array([_states(text, word) for text, word in zip(texts, others, strict=True)])
        if own.sum() >= 5 and own.mean() > other.mean() + 3 * _spread(own, other):
            alarms.append(
                Alarm(
                    "target in text",
                    f"{own.mean():.0%} of the texts in {column!r} state their own row's "
                    f"{problem.target}, against {other.mean():.0%} that state another row's. If "
                    f"the text was written with the answer at hand, new texts may not be.",
                )
            )
    return alarms


def target_words(problem: Problem) -> list[str]:
    """Write each row's target as a text would: a class's name, or a whole number."""
    if problem.classes:
        # Without a plural's s, so that "Treehouses" is found in "our treehouse".
        names = [str(name).lower().rstrip("s") for name in problem.classes]
        return [names[code] for code in problem.y]
    values = problem.raw_target
    return [f"{value:.0f}" if abs(value) >= 10 else "" for value in values]


def _states(text: str, word: str) -> bool:
    if not word or word not in text:
        return False
    return re.search(rf"(?<![\w.,]){re.escape(word)}s?(?!\w|[.,]\d)", text) is not None


def _spread(own: NDArray[Any], other: NDArray[Any]) -> float:
    """Return the standard error of the difference of two shares."""
    share = (own.mean() + other.mean()) / 2
    return float(np.sqrt(2 * share * (1 - share) / len(own)))
