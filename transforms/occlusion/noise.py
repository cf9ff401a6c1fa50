"""How far an effect would move if other rows had been labelled: what is less than that is luck.

The effect of a part is a difference of two vectors times the coefficients of a ridge, and these are
linear in the targets that it has learned. So its standard error is a sum over rows: how much each
row's target has a say in it, times how far the ridge is wrong about that row when it has not seen
it. No model is fitted anew. This is the estimator of White (1980, *A Heteroskedasticity-Consistent
Covariance Matrix Estimator*) with held-out errors (MacKinnon and White 1985), summed by group where
rows come in groups (Liang and Zeger 1986).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.transforms.ridge import influences

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.05
"""In so many contents in which no part has an effect one is beyond the noise all the same."""


@dataclass(frozen=True)
class Noise:
    """What a linear probe does not know.

    Attributes
    ----------
    X : ndarray of shape (n_rows, dim)
        The vectors that it has learned from.
    errors : ndarray of shape (n_rows,)
        Target minus prediction of a model that has not seen the row.
    alpha : float
        The strength of its regularisation, relative to the number of rows.
    coef : ndarray of shape (dim,)
    groups : ndarray of shape (n_rows,), optional
    """

    X: NDArray[np.floating]
    errors: NDArray[np.float64]
    alpha: float
    coef: NDArray[np.floating]
    groups: NDArray[Any] | None = None

    @classmethod
    def of(
        cls, probe: Any, X: Any, y: Any, held_out: Any, groups: Any = None, output: int = 0
    ) -> Noise:
        """Take one output of a `LinearProbe` and what its ``fit_transform(X, y)`` returned."""
        classes = getattr(probe, "classes_", None)
        if classes is None:
            target = np.asarray(y, np.float64)
        else:
            # Two classes share one score, that of the second.
            yes = output if len(classes) > 2 else 1
            target = np.where(np.asarray(y) == classes[yes], 1.0, -1.0)
        errors = target - held_out[:, output]
        # Of a row that was never held out: as if nothing were known of it.
        errors = np.where(np.isfinite(errors), errors, target - target.mean())
        return cls(np.asarray(X), errors, float(probe.alpha_), probe.coef_[output], groups)

    def __call__(
        self, differences: NDArray[np.floating], effects: NDArray[np.float64], count: int
    ) -> NDArray[np.float64]:
        """Return of each part how large an effect luck makes, in the unit of the effects.

        Parameters
        ----------
        differences : ndarray of shape (n_parts, dim)
            The vector of the whole minus that without the part.
        effects : ndarray of shape (n_parts,)
            In any unit that grows with the prediction.
        count : int
            Of parts in all (Bonferroni).
        """
        from scipy.stats import t

        moved = influences(self.X, self.alpha, differences) * self.errors[:, None]
        if self.groups is not None:
            codes = np.unique(self.groups, return_inverse=True)[1]
            by_group = np.zeros((codes.max() + 1, moved.shape[1]))
            np.add.at(by_group, codes, moved)
            moved = by_group
        factor = t.ppf(1 - LEVEL / (2 * count), max(1, len(moved) - 1))
        linear = differences @ self.coef
        unit = np.divide(effects, linear, out=np.ones(len(effects)), where=linear != 0)
        noise: NDArray[np.float64] = factor * np.sqrt((moved**2).sum(axis=0)) * np.abs(unit)
        return noise
