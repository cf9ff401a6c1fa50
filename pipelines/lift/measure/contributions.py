"""How much of each prediction of a boosted tree is owed to each group of columns.

TreeSHAP divides a prediction exactly among the columns (Lundberg et al. 2020, *From local
explanations to global understanding with explainable AI for trees*), so that whole groups of them
can be summed row by row: all handcrafted columns, and each deep feature. XGBoost computes it
itself. A random forest of scikit-learn does not, and its shuffled importance has to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfeast.pipelines.lift.ask.arms import BASELINE

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Contribution:
    """What a group of columns moves predictions by.

    Attributes
    ----------
    model : str
    group : str
        ``"handcrafted"``, or a deep feature.
    deep : bool
    size : float
        Mean over held-out rows of how far the whole group moves the prediction, up or down: in
        the unit that the model predicts in, of classes in log odds.
    share : float
        Of the sizes of all groups.
    """

    model: str
    group: str
    deep: bool
    size: float
    share: float


@dataclass
class Contributions:
    """Gathers the contributions of held-out rows, split by split.

    Parameters
    ----------
    deep : sequence of str
        The deep features; all other columns are handcrafted.
    """

    deep: Sequence[str]
    _sizes: dict[tuple[str, str], list[NDArray[np.float64]]] = field(default_factory=dict)

    def add(
        self, model: str, estimator: Any, tested: Any, groups: Mapping[str, Sequence[str]]
    ) -> None:
        """Take in the held-out rows of one fitted model; of other models than XGBoost nothing.

        Parameters
        ----------
        tested : DataFrame
            The columns of the held-out rows, as the model took them.
        groups : mapping of str to sequence of str
            Columns by feature.
        """
        found = tree_shap(estimator, tested)
        if found is None:
            return
        values, names = found
        group_of = {
            column: feature if feature in self.deep else BASELINE
            for feature, columns in groups.items()
            for column in columns
        }
        owners = [group_of.get(name) for name in names]
        for group in dict.fromkeys(group_of.values()):
            mine = [place for place, owner in enumerate(owners) if owner == group]
            sizes = np.abs(values[:, :, mine].sum(axis=2)).mean(axis=1)
            self._sizes.setdefault((model, group), []).append(sizes)

    def gathered(self) -> list[Contribution]:
        """Return the contributions, by model, the largest first."""
        sizes = {key: float(np.concatenate(parts).mean()) for key, parts in self._sizes.items()}
        found = []
        for model in dict.fromkeys(model for model, _ in sizes):
            mine = {group: size for (of, group), size in sizes.items() if of == model}
            whole = sum(mine.values()) or 1.0
            found += [
                Contribution(model, group, group in self.deep, size, size / whole)
                for group, size in sorted(mine.items(), key=lambda item: -item[1])
            ]
        return found


def tree_shap(estimator: Any, X: Any) -> tuple[NDArray[np.float64], list[str]] | None:
    """Return what each column adds to each prediction, if the model is XGBoost's.

    Parameters
    ----------
    estimator : object
        Fitted; alone, or the last step of a scikit-learn pipeline whose steps before it keep the
        names of columns.
    X : DataFrame of shape (n_rows, n_columns)

    Returns
    -------
    values : ndarray of shape (n_rows, n_outputs, n_columns)
    names : list of str
        Of the columns, as the tree has them.
    """
    steps = getattr(estimator, "steps", None)
    tree = steps[-1][1] if steps else estimator
    if not hasattr(tree, "get_booster"):
        return None
    from xgboost import DMatrix

    data, names = X, [str(name) for name in X.columns]
    if steps and len(steps) > 1:
        before = estimator[:-1]
        data = before.transform(X)
        # A ColumnTransformer writes the step before the name: remainder__beds.
        known = set(names)
        names = [
            name if name in known else name.partition("__")[2]
            for name in map(str, before.get_feature_names_out())
        ]
    matrix = DMatrix(data, enable_categorical=True)
    values = tree.get_booster().predict(matrix, pred_contribs=True)
    values = values.reshape(len(X), -1, values.shape[-1])
    return np.asarray(values[:, :, :-1], np.float64), names  # the last is the mean of all rows
