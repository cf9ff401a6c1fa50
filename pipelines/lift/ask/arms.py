"""The arms of a comparison, and the columns each of them adds, fitted inside a split."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deepfeast.transforms.probe import EmbeddingPCA, LinearProbe

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.ask.splits import Split

BASELINE = "handcrafted"
COMPONENTS = 30
# The forms of a feature, the one that speaks for it first.
MAIN_FORMS = ("probe", "pca+probe", "pca", "raw")
HOW = {
    "raw": "every number of the vector",
    "pca": f"its first {COMPONENTS} principal components",
    "probe": "the out-of-fold prediction of a ridge on it",
    "pca+probe": "its components and the prediction of a ridge",
    "tfidf": "TF-IDF of the words, 30 components",
}


@dataclass(frozen=True)
class Arm:
    """One way to use the data: the handcrafted columns, and some blocks beside them.

    Parameters
    ----------
    name : str
        As printed, e.g. ``"+ description_vec"``.
    kind : {"baseline", "deep", "rival", "control", "alone"}
    features : tuple of str
        Deep features it uses; for a rival, the one whose text it reads.
    how : str
        ``raw``, ``pca``, ``probe``, ``pca+probe``, ``tfidf``.
    """

    name: str
    kind: str
    features: tuple[str, ...] = ()
    how: str = ""

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """The blocks of columns, as (feature, how)."""
        return [(feature, how) for feature in self.features for how in self.how.split("+") if how]

    @property
    def label(self) -> str:
        """Name and representation, unique within a comparison."""
        return f"{self.name} ({self.how})" if self.how else self.name


def plan_arms(
    features: Sequence[str],
    representations: Sequence[str] = ("raw", "pca", "probe"),
    texts: Sequence[str] = (),
    *,
    control: bool = True,
    alone: bool = True,
    alternatives: Sequence[str] = (),
) -> list[Arm]:
    """List the arms: the baseline first, then each deep feature, all, the rivals, the control.

    Parameters
    ----------
    features, representations : sequence of str
    texts : sequence of str
        Deep features whose raw texts are at hand, for the rivals.
    control, alone : bool
    alternatives : sequence of str
        Features of `features` that stand in for another one: asked alone, and no part of all.

    >>> [arm.label for arm in plan_arms(["photo"], ["pca"], alone=False)]
    ['handcrafted', '+ photo (pca)', '+ photo, shuffled (pca)']
    """
    features = list(features)
    arms = [Arm(BASELINE, "baseline")]
    arms += [Arm(f"+ {one}", "deep", (one,), how) for one in features for how in representations]
    richest = [*representations]
    if {"pca", "probe"} <= set(representations):
        richest.append("pca+probe")
    main = [one for one in features if one not in alternatives]
    if len(main) > 1:
        arms += [Arm("+ all", "deep", tuple(main), how) for how in richest]
    arms += [Arm(f"+ words of {text}", "rival", (text,), "tfidf") for text in texts]
    if control:
        name = "+ all, shuffled" if len(main) > 1 else f"+ {main[0]}, shuffled"
        shuffled = tuple(f"shuffled:{one}" for one in main)
        arms.append(Arm(name, "control", shuffled, richest[-1]))
    if alone:
        arms += [Arm(f"{one} alone", "alone", (one,), "probe") for one in features]
        if len(main) > 1:
            arms.append(Arm("all alone", "alone", tuple(main), "probe"))
    return arms


@dataclass
class Blocks:
    """The columns of one split, each block fitted once on its training rows and then shared.

    Parameters
    ----------
    problem : Problem
    split : (train, test)
    texts : mapping of str to sparse matrix of shape (n_rows, n_words)
        Word counts of each text column, from a stateless hash: nothing is fitted on them yet.
    seed : int
        Shuffles the control.
    """

    problem: Problem
    split: Split
    texts: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    _made: dict[tuple[str, str], tuple[pd.DataFrame, pd.DataFrame]] = field(default_factory=dict)

    def of(self, arm: Arm) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the columns of an arm: training rows, test rows."""
        parts = [self.block(*key) for key in arm.blocks]
        if arm.kind != "alone":
            parts.insert(0, self._handcrafted())
        return (
            pd.concat([part[0] for part in parts], axis=1),
            pd.concat([part[1] for part in parts], axis=1),
        )

    def block(self, feature: str, how: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return one block, fitting it at its first use."""
        key = (feature, how)
        if key not in self._made:
            started = time.perf_counter()
            make = self._tfidf if how == "tfidf" else self._vectors
            self._made[key] = make(feature, how)
            self.seconds[key] = time.perf_counter() - started
        return self._made[key]

    def filled(self, train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Fill what deep features lack with their training means; the user's columns stay."""
        own = [name for name in train.columns if name not in self.problem.handcrafted]
        means = train[own].mean().fillna(0.0)
        return train.fillna(means), test.fillna(means)

    def _handcrafted(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        columns = self.problem.frame[self.problem.handcrafted]
        return columns.iloc[self.split[0]], columns.iloc[self.split[1]]

    def _vectors(self, feature: str, how: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        name = feature.removeprefix("shuffled:")
        vectors = self.problem.frame[self.problem.deep[name]]
        if name != feature:
            vectors = shuffled(vectors, self.seed)
        train, test = (vectors.iloc[rows] for rows in self.split)
        if how == "raw":
            return train, test
        if how == "pca":
            step: Any = EmbeddingPCA(COMPONENTS).set_output(transform="pandas")
            return step.fit_transform(train), step.transform(test)
        probe = self._probe().set_output(transform="pandas")
        rows = self.split[0]
        groups = None if self.problem.groups is None else self.problem.groups[rows]
        return probe.fit_transform(train, self.problem.y[rows], groups=groups), probe.transform(
            test
        )

    def _probe(self) -> LinearProbe:
        task = "classification" if self.problem.classes else "regression"
        return LinearProbe(task=task, cv=self._inner_folds(), random_state=self.seed)

    def _inner_folds(self) -> Any:
        if self.problem.times is None:
            return 5
        from deepfeast.pipelines.lift.ask.splits import forward_splits

        rows = self.split[0]
        groups = None if self.problem.groups is None else self.problem.groups[rows]
        return forward_splits(self.problem.times[rows], groups, 5, first=1 / 6)

    def _tfidf(self, text: str, how: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.pipeline import make_pipeline

        counts = self.texts[text]
        train, test = (counts[rows] for rows in self.split)
        size = min(COMPONENTS, len(self.split[0]) - 1)
        step = make_pipeline(
            TfidfTransformer(sublinear_tf=True), TruncatedSVD(size, random_state=self.seed)
        )
        names = [f"{text}_tfidf_{number:02d}" for number in range(size)]
        fitted, applied = step.fit_transform(train), step.transform(test)
        return (
            pd.DataFrame(fitted, columns=names, index=self.split[0]),
            pd.DataFrame(applied, columns=names, index=self.split[1]),
        )


def shuffled(vectors: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Give each row that has a vector another such row's: what is left is no information."""
    present = np.flatnonzero(vectors.notna().all(axis=1).to_numpy())
    values = vectors.to_numpy(copy=True)
    values[present] = values[np.random.default_rng(seed).permutation(present)]
    return pd.DataFrame(values, columns=vectors.columns, index=vectors.index)


def word_counts(texts: pd.DataFrame) -> dict[str, Any]:
    """Count the words of each column of texts; a missing text has none."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hasher = HashingVectorizer(
        n_features=2**16, norm=None, alternate_sign=False, stop_words="english"
    )
    return {
        str(name): hasher.transform([text if isinstance(text, str) else "" for text in column])
        for name, column in texts.items()
    }
