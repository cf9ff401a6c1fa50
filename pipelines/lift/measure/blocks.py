"""The columns that each arm adds, fitted inside a split and shared by all models."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from deepfeast.pipelines.lift.ask.arms import COMPONENTS, WORDS, Arm
from deepfeast.transforms.deep_columns import BESIDE
from deepfeast.transforms.probe import EmbeddingPCA, LinearProbe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.ask.problem import Problem
    from deepfeast.pipelines.lift.ask.splits import Split

Pair = tuple[pd.DataFrame, pd.DataFrame]
T = TypeVar("T")


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
    _made: dict[tuple[str, str], Pair] = field(default_factory=dict)

    def of(self, arm: Arm) -> Pair:
        """Return the columns of an arm: training rows, test rows."""
        parts = [self.block(*key) for key in self.keys(arm)]
        if arm.kind != "alone":
            parts.insert(0, self._handcrafted(alone=not parts))
        return (
            pd.concat([part[0] for part in parts], axis=1),
            pd.concat([part[1] for part in parts], axis=1),
        )

    def keys(self, arm: Arm) -> list[tuple[str, str]]:
        """Return the blocks of an arm, as (feature, how); words only where there is a text.

        What stands in for a feature, such as ``vec__int8`` for ``vec``, has its words beside it.
        """
        found = []
        for feature, how in arm.blocks:
            if how != "words" or feature.removeprefix("shuffled:") in self.texts:
                found.append((feature, how))
            elif (original := feature.rpartition("__")[0]) in self.texts:
                found.append((original, how))
        return found

    def block(self, feature: str, how: str) -> Pair:
        """Return one block, fitting it at its first use."""
        key = (feature, how)
        if key not in self._made:
            started = time.perf_counter()
            make = self._words if how == "words" else self._vectors
            self._made[key] = make(feature, how)
            self.seconds[key] = time.perf_counter() - started
        return self._made[key]

    def run(self, model: Callable[[Pair], T], columns: Pair) -> tuple[T, bool]:
        """Run a model on columns, and on filled ones if it takes no NaN; say whether they were.

        A NaN is met when fitting or, where the tested rows alone lack a vector, when scoring.
        """
        try:
            return model(columns), False
        except ValueError as error:
            if "NaN" not in str(error):
                raise
        return model(self._filled(*columns)), True

    def _filled(self, train: pd.DataFrame, test: pd.DataFrame) -> Pair:
        """Fill what deep features lack with their training means; the user's columns stay."""
        own = [name for name in train.columns if name not in self.problem.handcrafted]
        means = train[own].mean().fillna(0.0)
        return train.fillna(means), test.fillna(means)

    def _handcrafted(self, alone: bool) -> Pair:
        columns = self.problem.frame[self.problem.handcrafted]
        if alone and not self.problem.handcrafted:
            # There is nothing to tell rows apart by: a model gives the mean, or the usual class.
            columns = columns.assign(nothing=0.0)
        return columns.iloc[self.split[0]], columns.iloc[self.split[1]]

    def _vectors(self, feature: str, how: str) -> Pair:
        name = feature.removeprefix("shuffled:")
        vectors = self.problem.vectors[name]
        if name != feature:
            vectors = shuffled(vectors, self.seed)
        train, test = (vectors[rows] for rows in self.split)
        if how == "raw":
            return self._named(self.problem.deep[name], train, test)
        if how == "probe":
            return self._probed(name, train, test)
        return self._components(name, train, test, BESIDE if how == "components" else COMPONENTS)

    def _probed(self, name: str, train: NDArray[Any], test: NDArray[Any]) -> Pair:
        step, rows = self._probe(), self.split[0]
        groups = None if self.problem.groups is None else self.problem.groups[rows]
        fitted = step.fit_transform(train, self.problem.y[rows], groups=groups)
        return self._named(_after(name, step), fitted, step.transform(test))

    def _components(self, name: str, train: NDArray[Any], test: NDArray[Any], count: int) -> Pair:
        step = EmbeddingPCA(count)
        fitted = step.fit_transform(train)
        return self._named(_after(name, step), fitted, step.transform(test))

    def _named(self, names: Sequence[str], train: NDArray[Any], test: NDArray[Any]) -> Pair:
        return (
            pd.DataFrame(train, columns=names, index=self.split[0]),
            pd.DataFrame(test, columns=names, index=self.split[1]),
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

    def _words(self, feature: str, how: str) -> Pair:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.pipeline import make_pipeline

        text = feature.removeprefix("shuffled:")
        counts = self.texts[text]
        if text != feature:
            counts = counts[np.random.default_rng(self.seed).permutation(counts.shape[0])]
        train, test = (counts[rows] for rows in self.split)
        used = np.flatnonzero(train.getnnz(axis=0))  # the others are most, and say nothing
        size = min(WORDS, len(self.split[0]) - 1, len(used))
        step = make_pipeline(
            TfidfTransformer(sublinear_tf=True), TruncatedSVD(size, random_state=self.seed)
        )
        fitted, applied = step.fit_transform(train[:, used]), step.transform(test[:, used])
        probe = self._probed(f"{text}_words", fitted, applied)
        parts = self._components(f"{text}_words", fitted, applied, BESIDE)
        return (
            pd.concat([probe[0], parts[0]], axis=1),
            pd.concat([probe[1], parts[1]], axis=1),
        )


def _after(name: str, step: Any) -> list[str]:
    """Name the columns of a step after the feature that it was fitted to."""
    return [f"{name}_{column}" for column in step.get_feature_names_out()]


def shuffled(vectors: NDArray[Any], seed: int) -> NDArray[Any]:
    """Give each row that has a vector another such row's: what is left is no information."""
    present = np.flatnonzero(~np.isnan(vectors).any(axis=1))
    values = vectors.copy()
    values[present] = values[np.random.default_rng(seed).permutation(present)]
    return values


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
