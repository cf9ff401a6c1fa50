"""How far vectors have moved since the baseline: the distance of centroids.

Feast keeps of each feature a histogram, as JSON; of vectors it holds the centroid, too, and here
gets the distance from the centroid of the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


def with_distances(
    rows: Sequence[Mapping[str, Any]], baselines: Callable[[str], Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Add to figures of vectors how far their centroid lies from that of the baseline.

    Parameters
    ----------
    rows : sequence of mapping
        Figures of features, about to be kept.
    baselines : callable
        Returns the baselines of a project, as they were kept, the latest last. Asked only where
        there are vectors.

    Returns
    -------
    list of dict
        The ``histogram`` of a vector has ``centroid_distance`` and ``centroid_shift`` (in spreads
        of the baseline; see `measure`), None of both where there is no baseline or it is of
        another encoder. The centroid itself stays with baselines alone.
    """
    known: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}
    moved = []
    for row in rows:
        now = row.get("histogram")
        if isinstance(now, dict) and "centroid" in now:
            project, feature = row["project_id"], (row["feature_view_name"], row["feature_name"])
            if project not in known:
                known[project] = {
                    (one["feature_view_name"], one["feature_name"]): one["histogram"] or {}
                    for one in baselines(project)
                }
            base = now if row["is_baseline"] else known[project].get(feature, {})
            now = {**now, **_distance(now, base)}
            if not row["is_baseline"]:
                del now["centroid"]
            row = {**row, "histogram": now}
        moved.append(dict(row))
    return moved


def _distance(now: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, float | None]:
    """Compare two centroids.

    >>> now = {"centroid": [3.0, 4.0], "spread": 1.0}
    >>> _distance(now, {"centroid": [0.0, 0.0], "spread": 2.0})
    {'centroid_distance': 5.0, 'centroid_shift': 2.5}
    """
    centroid = base.get("centroid", ())
    if len(centroid) != len(now["centroid"]) or now.get("encoder") != base.get("encoder"):
        return {"centroid_distance": None, "centroid_shift": None}
    distance = float(np.linalg.norm(np.subtract(now["centroid"], centroid)))
    shift = distance / base["spread"] if base["spread"] else None
    return {"centroid_distance": distance, "centroid_shift": shift}
