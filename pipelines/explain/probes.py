"""The linear model whose prediction is explained, and how far it is to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.errors import ColumnNotFound, ExplainError
from deepfeast.transforms.join import training_matrix
from deepfeast.transforms.occlusion.noise import Noise
from deepfeast.transforms.probe import LinearProbe

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from feast import FeatureStore
    from numpy.typing import NDArray

FEWEST = 20


@dataclass(frozen=True)
class Probe:
    """A fitted probe.

    Attributes
    ----------
    model : LinearProbe
    target : str
    logged : bool
        It was fitted on the logarithm of the target.
    share : float
        Of held-out rows: the share of the target's variance that it explains (R²), or of the
        rows whose class it finds.
    luck : float
        What knowing nothing would reach: 0, or the share of the most frequent class.
    noises : tuple of Noise
        Of each output, what it does not know.
    """

    model: LinearProbe
    target: str
    logged: bool
    share: float
    luck: float
    noises: tuple[Noise, ...]

    @property
    def rows(self) -> int:
        """Rows that it has learned from."""
        return len(self.noises[0].X)

    @property
    def blind(self) -> bool:
        """Whether it predicts no better than if it knew nothing."""
        return self.share <= self.luck

    @property
    def skill(self) -> str:
        """How well it predicts rows that it has not seen, in words."""
        of = f"of {self.rows:,} rows, held out in turn"
        if hasattr(self.model, "classes_"):
            return (
                f"It finds the class {of}, in {self.share:.0%}; the most frequent class alone "
                f"would be right in {self.luck:.0%}."
            )
        goal = f"log({self.target})" if self.logged else self.target
        return f"It explains {max(0.0, self.share):.0%} of what {goal} varies by, {of}."

    def output(self, vector: NDArray[np.floating]) -> tuple[int, str]:
        """Return which output a vector is asked about, and its unit: of classes the likeliest."""
        classes = getattr(self.model, "classes_", None)
        if classes is None:
            return 0, self.target
        scores = self.model.transform(vector[None])[0]
        if len(classes) == 2:
            return 0, f"score of {classes[1]}"
        best = int(scores.argmax())
        return best, f"score of {classes[best]}"

    def predict(self, vectors: NDArray[np.floating], output: int = 0) -> NDArray[np.float64]:
        """Predict in the target's own unit: (n,)."""
        predicted = np.asarray(self.model.transform(vectors)[:, output], np.float64)
        return np.exp(predicted) if self.logged else predicted


def learn(
    store: FeatureStore,
    view: str,
    feature: str,
    labels: pd.DataFrame,
    target: str,
    key: Mapping[str, Any],
    *,
    groups: str | None = None,
    log_target: bool = False,
) -> Probe:
    """Learn a target from the vectors of one feature, each as of its label's time.

    Labels of the key itself are left out: the probe has not seen the row that it explains.

    Raises
    ------
    ColumnNotFound
        If the labels lack the target, the groups or a join key.
    ExplainError
        If there is nothing to learn from.
    """
    for column in [target, *([groups] if groups else []), *key]:
        if column not in labels.columns:
            raise ColumnNotFound.of(column, "the labels", map(str, labels.columns))
    same = np.ones(len(labels), bool)
    for name, value in key.items():
        same &= (labels[name].astype(str) == str(value)).to_numpy()
    rows = labels[labels[target].notna().to_numpy() & ~same].reset_index(drop=True)
    told = f"no probe of {target!r} can be learned from {feature}: "
    there = np.zeros(0, bool)
    if len(rows):
        vectors, _ = training_matrix(store, rows, features=[f"{view}:{feature}"])
        there = np.isfinite(vectors).all(axis=1)
    if there.sum() < FEWEST:
        raise ExplainError(
            f"{told}of {len(labels):,} labels {there.sum():,} have the target, a vector as of "
            f"their time and another key; it takes {FEWEST}."
        )
    values = rows[target].to_numpy()[there]
    if len(set(values.tolist())) < 2:
        raise ExplainError(f"{told}it is {values[0]} in all {len(values):,} rows.")
    if log_target:
        values = _logarithm(values, told)
    inside = rows[groups].astype(str).to_numpy()[there] if groups else None
    probe, known = LinearProbe(), vectors[there]
    try:
        held_out = probe.fit_transform(known, values, groups=inside)
    except ValueError as error:
        raise ExplainError(f"{told}{error}") from None
    noises = (
        Noise.of(probe, known, values, held_out, inside, output)
        for output in range(held_out.shape[1])
    )
    return Probe(probe, target, log_target, *_skill(probe, held_out, values), tuple(noises))


def _logarithm(values: NDArray[Any], told: str) -> NDArray[np.float64]:
    try:
        numbers = values.astype(float)
    except (TypeError, ValueError):
        raise ExplainError(f"{told}{values[0]!r} has no logarithm.") from None
    if (numbers <= 0).any():
        raise ExplainError(f"{told}values at or below zero have no logarithm.")
    return np.log(numbers)


def _skill(
    probe: LinearProbe, held_out: NDArray[np.floating], values: NDArray[Any]
) -> tuple[float, float]:
    """Return what held-out predictions reach, and what luck would."""
    known = np.isfinite(held_out).all(axis=1)
    held_out, values = held_out[known], values[known]
    if not hasattr(probe, "classes_"):
        numbers = values.astype(float)
        missed, spread = numbers - held_out[:, 0], numbers - numbers.mean()
        return float(1 - (missed @ missed) / (spread @ spread)), 0.0
    codes = np.searchsorted(probe.classes_, values)
    guessed = held_out[:, 0] > 0 if held_out.shape[1] == 1 else held_out.argmax(axis=1)
    return float((guessed == codes).mean()), float(np.bincount(codes).max() / len(codes))
