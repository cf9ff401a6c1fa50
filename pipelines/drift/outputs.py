"""What a linear model predicts of each row: whether a change moves it is what one wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepfeast.transforms.errors import ColumnNotFound, DriftError
from deepfeast.transforms.join import training_matrix
from deepfeast.transforms.probe import LinearProbe

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore
    from numpy.typing import NDArray


def learn_probe(
    store: FeatureStore, view: str, feature: str, labels: pd.DataFrame, target: str
) -> LinearProbe:
    """Learn a target from the vectors of one feature, each as of its label's time.

    A mean of predictions moves only where the mean of the vectors does. So it plays no part that
    the probe has seen some of the rows that it is asked about.

    Parameters
    ----------
    labels : DataFrame
        Entity keys, `target` and ``event_timestamp``; without times, vectors are those of now.

    Raises
    ------
    DriftError
        If there is nothing to learn from.
    """
    if target not in labels.columns:
        raise ColumnNotFound.of(target, "the labels", map(str, labels.columns))
    rows = labels[labels[target].notna()].reset_index(drop=True)
    vectors, _ = training_matrix(store, rows, features=[f"{view}:{feature}"])
    there = np.isfinite(vectors).all(axis=1)
    try:
        return LinearProbe().fit(vectors[there], rows[target].to_numpy()[there])
    except ValueError as error:
        raise DriftError(
            f"no probe of {target!r} can be learned from {feature}: {error}. Of {len(labels):,} "
            f"labels {there.sum():,} have the target and a vector."
        ) from None


def told_shift(
    outputs: NDArray[np.floating], recent: NDArray[np.bool_], probe: LinearProbe, target: str
) -> str:
    """Say how far the mean prediction has moved; of classes, that which has moved most."""
    shifts = outputs[recent].mean(axis=0) - outputs[~recent].mean(axis=0)
    most = int(np.abs(shifts).argmax())
    if not hasattr(probe, "classes_"):
        return f"{target} {outputs[~recent].mean():.4g} → {outputs[recent].mean():.4g}"
    name = probe.classes_[most if len(shifts) > 1 else 1]
    before, now = (outputs[side, most].mean() for side in (~recent, recent))
    return f"score of {name} {before:+.2f} → {now:+.2f}"
