"""A table in a bucket: can this process work there, and does the store keep two runs apart?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from deepfeast.pipelines.doctor.findings import Finding
from deepfeast.transforms.errors import BucketError

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView


def check_bucket(store: FeatureStore, view: FeatureView) -> Iterator[Finding]:
    """Look whether a deep view's bucket may be listed, written and tidied, on conditions.

    A small file is put beside the table, on a condition that holds and on one that does not, and
    is removed.
    """
    from deepfeast.transforms.embeddings.lease import check_conditions
    from deepfeast.transforms.embeddings.table import embedding_table
    from deepfeast.transforms.files.bucket import BucketPath

    scratch = embedding_table(store, view).scratch
    if not isinstance(scratch, BucketPath):
        return
    where = f"view {view.name}"
    try:
        list(scratch.iterdir())
        left = check_conditions(scratch)
    except BucketError as error:
        yield Finding("error", where, str(error), "Mend it as told; no run will begin there.")
        return
    if left:
        yield Finding(
            "warning",
            where,
            f"this process may not delete in {scratch.root}: what runs leave over stays.",
            "Grant it (s3:DeleteObject), or let a lifecycle rule of the bucket delete what lies "
            "below _deepfeast/runs and _deepfeast/spill.",
        )
