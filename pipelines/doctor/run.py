"""Every check of a repo, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deepfeast.pipelines.doctor.arrays import check_arrays
from deepfeast.pipelines.doctor.bucket import check_bucket
from deepfeast.pipelines.doctor.deep import check_deep_view
from deepfeast.pipelines.doctor.files import check_file
from deepfeast.pipelines.doctor.findings import LEVELS, Finding
from deepfeast.pipelines.doctor.stores import check_stores
from deepfeast.pipelines.doctor.warehouse import check_warehouse
from deepfeast.transforms.feast_api import open_store
from deepfeast.transforms.features import deep_spec

if TYPE_CHECKING:
    from feast import FeatureStore


def diagnose(store: FeatureStore | str | Path) -> list[Finding]:
    """Check a Feast repo.

    Parameters
    ----------
    store : FeatureStore or path of a repo
        As applied: what ``feast apply`` has not seen is not checked.

    Returns
    -------
    list of Finding
        Errors first, notes last; empty where nothing is wrong.
    """
    store = open_store(store)
    views = list(store.list_feature_views())
    findings = [*check_stores(store, views), *check_warehouse(store, views)]
    for view in views:
        findings += check_file(store, view)
        findings += check_arrays(view)
        spec = deep_spec(view)
        if spec:
            found = [*check_bucket(store, view)]
            findings += found
            # What cannot be reached would only be told of a second time.
            if not any(finding.level == "error" for finding in found):
                findings += check_deep_view(store, view, spec)
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))
