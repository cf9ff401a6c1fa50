"""Arrays of a view, and what keeps them from becoming columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.doctor.findings import Finding

if TYPE_CHECKING:
    from feast import FeatureView


def check_arrays(view: FeatureView) -> Iterator[Finding]:
    """Look for arrays that will not become columns."""
    from deepfeast.transforms.columns import is_vector

    for field in view.features:
        if is_array(field) and not is_vector(field):
            yield Finding(
                "warning",
                f"view {view.name}",
                f"the array {field.name!r} declares no vector_length: it stays one column of "
                f"lists, which no old model can read.",
                f"Field(name={field.name!r}, dtype=Array(Float32), vector_length=<length>).",
            )


def is_array(field: Any) -> bool:
    """Tell whether a field holds lists."""
    from feast.types import Array

    return isinstance(field.dtype, Array)
