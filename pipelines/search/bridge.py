"""From a text to photos without a network that knows both: a ridge, learned from one's own rows.

Rows that have a text and a photo teach where a photo would lie among the texts. How well that goes
is measured on rows that were not seen, and told with every answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepfeast.transforms.errors import SearchError
from deepfeast.transforms.nearest import BLOCK, to_units
from deepfeast.transforms.ridge import Ridge, fit_ridge

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST, MOST = 50, 10_000
NEAREST = 10
ALPHAS = np.logspace(-4, 2, 13)


@dataclass(frozen=True)
class Bridge:
    """Predicts the vector of a row's text from another of its vectors.

    Attributes
    ----------
    ridge : Ridge
    pairs : int
        Rows that it has learned from.
    hits : float
        Of rows that it had not seen, the share whose text has its own row among the nearest ten.
    chance : float
        What that share would be by chance.
    unseen : int
        How many rows those were.
    """

    ridge: Ridge
    pairs: int
    hits: float
    chance: float
    unseen: int

    def predicted(self, units: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict texts of vectors: shape (n_rows, text_dim), from their mean on."""
        matrix = np.empty((len(units), len(self.ridge.intercept)), np.float32)
        for start in range(0, len(units), BLOCK):
            part = slice(start, start + BLOCK)
            matrix[part] = self.ridge.predict(units[part]) - self.ridge.target_mean
        return matrix

    def placed(self, text: NDArray[np.floating]) -> NDArray[np.float64]:
        """Place the vector of a text among the predicted ones."""
        length = np.linalg.norm(np.asarray(text, np.float64))
        return np.asarray(text, np.float64) / length - self.ridge.target_mean

    def note(self, feature: str, text: str) -> str:
        """Say what stands between a text and the answer, and how good it is."""
        worth = "" if self.hits > 2 * self.chance else ": hardly more, believe nothing"
        return (
            f"no text was compared with {feature} itself: a ridge from it to {text} stands "
            f"between, learned from {self.pairs:,} of your own rows. Of {self.unseen:,} unseen "
            f"ones {self.hits:.0%} are among the {NEAREST} nearest to their own text, by chance "
            f"{self.chance:.0%}{worth}"
        )


def learn_bridge(
    vectors: NDArray[np.float32], texts: NDArray[np.float32], told: str, seed: int = 0
) -> Bridge:
    """Learn from rows that have both.

    Parameters
    ----------
    vectors : ndarray of shape (n_rows, dim), float32
        Rows of NaN or zeros, here or in `texts`, teach nothing.
    texts : ndarray of shape (n_rows, text_dim), float32
    told : str
        What the two are, for the error.

    Raises
    ------
    SearchError
        If fewer than 50 rows have both.
    """
    with_vector, with_text = (set(to_units(one.copy())[1].tolist()) for one in (vectors, texts))
    both = np.array(sorted(with_vector & with_text), np.intp)
    if len(both) < FEWEST:
        raise SearchError(
            f"{len(both)} rows have both {told}, and at least {FEWEST} are needed to learn how a "
            f"text leads to the other. Search by a photo, or by a key."
        )
    both = np.random.default_rng(seed).permutation(both)
    X, Y = to_units(vectors[both])[0], to_units(texts[both])[0].astype(np.float64)
    unseen = len(both) // 5
    trial = Bridge(fit_ridge(X[unseen:], Y[unseen:], ALPHAS), len(both) - unseen, 0, 0, unseen)
    there = to_units(trial.predicted(X[:unseen]))[0]
    asked = to_units((Y[:unseen] - trial.ridge.target_mean).astype(np.float32))[0]
    hits = 0.0
    if len(there) == len(asked) == unseen:  # else all predictions are one
        scores = asked @ there.T
        own = np.diagonal(scores)[:, None]
        # What is as near counts by half: equal texts are no hits for free.
        before = (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
        hits = float(np.mean(before < NEAREST))
    return Bridge(fit_ridge(X, Y, ALPHAS), len(both), hits, min(1.0, NEAREST / unseen), unseen)
