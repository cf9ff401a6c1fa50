"""Where near-copies begin, and which rows hang together by them.

How near a copy is depends on the encoder: one that sees little calls much alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepfeast.transforms.nearest import BLOCK, near_copies

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deepfeast.transforms.features import DeepFeature

# Looked at by eye, on real listings.
THRESHOLDS = {"minilm": 0.95, "text-tiny": 0.95, "image-tiny": 0.97}
# A copy is as many times nearer than an ordinary row's nearest: for those above it is 2.4 to 6.5
# times, on the listings. And how many rows tell.
NEARER, ASKED = 5, 1000
# Where copies may begin at all: nothing less is called one unasked.
LOWEST, HIGHEST = 0.8, 0.999
# Above this share of all rows a group is a chain, and no copy of anything.
CHAIN = 0.2
# Columns of the file of groups that ``deepfeast duplicates --out`` writes, beside the join keys.
GROUP, SIZE, COSINE = "duplicate_group", "group_size", "nearest_cosine"
# Pairs that are held at a time.
PAIRS = 1 << 20


def of_encoder(feature: DeepFeature) -> tuple[float, str] | None:
    """Return the threshold of an encoder whose copies were looked at, and the reason."""
    if feature.reduce or feature.encoder not in THRESHOLDS:
        return None
    return THRESHOLDS[feature.encoder], f"that of {feature.encoder}, looked at on real listings"


def estimated(units: NDArray[np.float32], seed: int = 0) -> tuple[float, str]:
    """Estimate where copies begin: five times nearer than an ordinary row's nearest.

    Parameters
    ----------
    units : ndarray of shape (n_rows, dim), float32
        Of length one.

    Returns
    -------
    threshold : float
        Between 0.8 and 0.999.
    reason : str

    Examples
    --------
    >>> estimated(np.array([[1, 0], [0.6, 0.8]], np.float32))[0]
    0.92
    """
    some = np.random.default_rng(seed).permutation(len(units))[:ASKED]
    best = np.full(len(some), -1, np.float32)
    for start in range(0, len(units), BLOCK):
        scores = units[some] @ units[start : start + BLOCK].T
        mine = np.flatnonzero((some >= start) & (some < start + BLOCK))
        scores[mine, some[mine] - start] = -1
        best = np.maximum(best, scores.max(axis=1))
    apart = best[best < HIGHEST]
    if not len(apart):
        told = f"all of {len(some):,} rows have an equal one, so that only the equal count"
        return HIGHEST, told
    usual = float(np.median(apart))
    threshold = min(max(1 - (1 - usual) / NEARER, LOWEST), HIGHEST)
    return round(threshold, 4), (
        f"estimated, as no threshold of this encoder is known. Among {len(some):,} rows the "
        f"nearest other one is usually at {usual:.3f}, and a copy is {NEARER} times nearer. "
        f"Look at the groups, then set --threshold"
    )


def connected(
    units: NDArray[np.float32], threshold: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Group rows that are connected by near pairs.

    Returns
    -------
    labels : ndarray of int of shape (n_rows,)
        Equal within a group.
    nearest : ndarray of float64 of shape (n_rows,)
        The cosine to the nearest row of the group; NaN for a row alone.

    Examples
    --------
    >>> units = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    >>> labels, nearest = connected(units, 0.9)
    >>> labels.tolist(), nearest.tolist()
    ([0, 1, 0], [1.0, nan, 1.0])
    """
    labels, nearest = np.arange(len(units)), np.full(len(units), np.nan)
    held: list[NDArray[np.intp]] = []
    for rows, others, cosines in near_copies(units, threshold):
        for ends in (rows, others):
            np.fmax.at(nearest, ends, np.minimum(cosines, 1))
        news = labels[rows] != labels[others]
        if news.any():
            held.append(np.stack([rows[news], others[news]]))
        # Many copies have many pairs; the groups so far say as much.
        if sum(pairs.shape[1] for pairs in held) > PAIRS:
            labels, held = _joined(labels, held), []
    return _joined(labels, held), nearest


def _joined(labels: NDArray[np.intp], held: list[NDArray[np.intp]]) -> NDArray[np.intp]:
    """Join groups that pairs of rows connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, others = labels[np.concatenate([np.empty((2, 0), np.intp), *held], axis=1)]
    shape = (len(labels), len(labels))
    graph = coo_array((np.ones(len(rows), bool), (rows, others)), shape=shape)
    joined: NDArray[np.intp] = connected_components(graph, directed=False)[1][labels]
    return joined


def numbered(labels: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give groups numbers: the larger first, of equal ones the earlier.

    Returns
    -------
    numbers, sizes : ndarray of int64 of shape (n_rows,)
        The number and the size of each row's group.

    Examples
    --------
    >>> numbered(np.array([7, 5, 5, 7, 5, 1]))
    (array([1, 0, 0, 1, 0, 2]), array([2, 3, 3, 2, 3, 1]))
    """
    _, first, inverse, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    places = np.empty(len(sizes), np.int64)
    places[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return places[inverse], sizes[inverse].astype(np.int64)
