"""What smaller vectors would cost a model: an arm of them beside the arm of the ones declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from deepfeast.pipelines.lift.measure.stats import corrected_lift
from deepfeast.transforms.arrow import flat_names
from deepfeast.transforms.errors import LiftError
from deepfeast.transforms.int8 import packed_size, round_to_int8

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from deepfeast.pipelines.lift.measure.comparison import Comparison

_SMALLER = {"int8": round_to_int8}


def kept_as(
    storage: str, frame: pd.DataFrame, deep: Mapping[str, Sequence[str]]
) -> dict[str, pd.DataFrame]:
    """Return the vectors as they would be, by the name of their arm.

    Parameters
    ----------
    storage : {"int8"}
    frame : DataFrame of shape (n_rows, n_columns)
    deep : mapping of str to sequence of str
        Flat columns by feature.

    Raises
    ------
    LiftError
        If `storage` is something else, or all vectors are so already.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame([[127.0, 0.7]], columns=["vec_000", "vec_001"])
    >>> kept_as("int8", frame, {"vec": ["vec_000", "vec_001"]})["vec__int8"].to_numpy().tolist()
    [[127.0, 1.0]]
    """
    import pandas as pd

    if storage not in _SMALLER:
        raise LiftError(f"storage={storage!r}: expected {', '.join(map(repr, _SMALLER))}.")
    made = {}
    for feature, columns in deep.items():
        vectors = frame[list(columns)].to_numpy(np.float32)
        smaller = _SMALLER[storage](vectors)
        if not np.array_equal(smaller, vectors, equal_nan=True):
            name = f"{feature}__{storage}"
            made[name] = pd.DataFrame(
                smaller, columns=flat_names(name, len(columns)), index=frame.index
            )
    if not made:
        raise LiftError(f"every deep feature of the service is kept as {storage} already.")
    return made


def storage_costs(storage: str, names: Iterable[str], comparison: Comparison) -> list[str]:
    """Say of each feature and model what the smaller vectors cost, on the same splits."""
    said = []
    for model in comparison.models:
        for name in names:
            feature = name.removesuffix(f"__{storage}")
            full, small = (_main_scores(comparison, model, one) for one in (feature, name))
            splits = min(len(full), len(small))
            if splits < 2:
                continue
            change = corrected_lift(small[:splits] - full[:splits], comparison.test_share(splits))
            dim = len(comparison.problem.deep[feature])
            said.append(
                f"Kept as {storage}, {packed_size(dim)} bytes a vector instead of {4 * dim}, "
                f"{feature} changes {comparison.problem.metric} of {model} by {change.mean:+.4f} "
                f"({change.low:+.4f} to {change.high:+.4f} at 95 %, {splits} splits)."
            )
    return said


def _main_scores(comparison: Comparison, model: str, feature: str) -> NDArray[np.float64]:
    """Return the scores of a feature's first form; none where it failed."""
    found = next(
        one
        for one in comparison.outcomes
        if (one.model, one.arm.kind, one.arm.features) == (model, "deep", (feature,))
    )
    return np.empty(0) if found.failed else found.scores
