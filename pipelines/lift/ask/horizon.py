"""Whether what was fitted before the comparison has seen rows that the comparison tests.

A PCA or a vocabulary is fitted when its view is first embedded, so before any split is drawn.
Where it saw rows of the time that is tested, the lift may look larger than it will be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.features import deep_spec

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore


def fit_notes(
    store: FeatureStore, features: Sequence[str], times: pd.Series, *, forward: bool
) -> list[str]:
    """Say which deep features were fitted on rows of the period that is tested.

    Parameters
    ----------
    store : FeatureStore
    features : sequence of str
        Deep features of the comparison.
    times : Series of shape (n_rows,)
        The time of each label; without a zone UTC is meant.
    forward : bool
        Whether the splits go forward in time, so that only the later rows are tested.

    Returns
    -------
    list of str
        One sentence for each such feature, with what to do; none where all is well.
    """
    start = _test_start(times, forward)
    notes = []
    for view in store.list_feature_views():
        spec = deep_spec(view)
        asked = [one for one in spec.features if one.name in features] if spec else []
        table = embedding_table(store, view) if asked else None
        if table is None or table.open() is None:
            continue
        fits = table.fits()
        notes += [
            f"{one.name} was fitted on rows up to {fits[one.name].last:%Y-%m-%d %H:%M}, so on rows "
            f"of the tested time, which begins at {start:%Y-%m-%d %H:%M}: its lift may be "
            f"flattered. Declare DeepFeature({one.name!r}, ..., fit_until='{start:%Y-%m-%d}'), "
            f"then: deepfeast embed {view.name} --rebuild"
            for one in asked
            if one.name in fits and fits[one.name].last > start
        ]
    return notes


def _test_start(times: pd.Series, forward: bool) -> pd.Timestamp:
    """Return when the tested time begins: that of the first label that any split tests."""
    from deepfeast.pipelines.lift.ask.splits import forward_splits
    from deepfeast.transforms.times import utc_times

    times = utc_times(times, "the time of the labels")
    if forward:
        for _, test in forward_splits(times.to_numpy(), None, 1):
            return times.iloc[test].min()
    return times.min()
