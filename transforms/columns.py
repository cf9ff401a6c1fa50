"""The columns of a feature service, in order: one answer for training and for serving.

The training frame, the lookup and the signature all ask here, so that they cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deepfeast.transforms.arrow import flat_names
from deepfeast.transforms.errors import FeatureNotFound, JoinError, SpecError, did_you_mean

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore


@dataclass(frozen=True)
class ServiceColumn:
    """One feature of a feature service, and the flat columns it becomes.

    Parameters
    ----------
    view : str
        Name of the view in references, its alias where the service gave one.
    feature : str
        Name of the feature.
    dtype : feast.types.FeastType
        Its type as declared.
    dim : int or None
        Length of the vector; None for every other feature.
    columns : tuple of str
        The flat columns: ``feature_000``… for a vector, otherwise one.
    registered : str
        Name of the view in the registry (differs from `view` under an alias).
    name : str
        Name of the one column that Feast itself returns: the feature, or
        ``view__feature`` with full feature names.
    """

    view: str
    feature: str
    dtype: Any
    dim: int | None
    columns: tuple[str, ...]
    registered: str
    name: str

    @property
    def reference(self) -> str:
        """How Feast writes the feature: ``view:feature``."""
        return f"{self.view}:{self.feature}"


def service_columns(
    store: FeatureStore,
    service: str | FeatureService | Sequence[str],
    *,
    full_feature_names: bool = False,
) -> list[ServiceColumn]:
    """List the features of a service and their flat columns, in the service's order.

    Parameters
    ----------
    store : FeatureStore
    service : str, FeatureService or sequence of str
        Name of a registered service, the service itself, or references ``"view:feature"``.
    full_feature_names : bool
        Put ``<view>__`` in front of every column.

    Returns
    -------
    list of ServiceColumn
        An array of floats is a vector, and becomes flat columns, where its field declares a
        ``vector_length``. Any other array stays one column of lists: without a declared
        length, the columns would depend on the data.

    Raises
    ------
    FeatureNotFound
        If there is no such service, view or feature.
    JoinError
        If two features would share a column.
    """
    found = [
        _column(view, registered, field, full_feature_names)
        for view, registered, field in _fields(store, service)
    ]
    counts = Counter(column for feature in found for column in feature.columns)
    twice = sorted(column for column, count in counts.items() if count > 1)
    if twice:
        raise JoinError(
            f"more than one feature is called {', '.join(twice[:3])}. "
            f"Pass full_feature_names=True to put the view's name in front."
        )
    return found


def resolve_features(store: FeatureStore, service: Any) -> FeatureService | list[str]:
    """Return what Feast's own ``features=`` argument takes for a name, service or references."""
    from feast import FeatureService

    if isinstance(service, str):
        services = {known.name: known for known in store.list_feature_services()}
        if service not in services:
            raise FeatureNotFound(
                f"no feature service {service!r} in project {store.project!r}. Services: "
                f"{', '.join(sorted(services)) or 'none; run feast apply in the repo first'}."
                f"{did_you_mean(service, services)}"
            )
        return services[service]
    return service if isinstance(service, FeatureService) else list(service)


def is_vector(field: Any) -> bool:
    """Tell whether a Feast field is a vector: an array of floats of a declared length."""
    from feast.types import Array, Float32, Float64

    floats = isinstance(field.dtype, Array) and field.dtype.base_type in (Float32, Float64)
    return floats and bool(field.vector_length)


def _column(view: str, registered: str, field: Any, full_names: bool) -> ServiceColumn:
    # Feast leaves a version (view@v2) out of the name of a column.
    name = f"{view.split('@')[0]}__{field.name}" if full_names else field.name
    dim = field.vector_length if is_vector(field) else None
    columns = (name,) if dim is None else tuple(flat_names(name, dim))
    return ServiceColumn(view, field.name, field.dtype, dim, columns, registered, name)


def _fields(store: FeatureStore, service: Any) -> list[tuple[str, str, Any]]:
    """Resolve to (view, registered view, field), in order."""
    features = resolve_features(store, service)
    if isinstance(features, list):
        return [_field(store, reference) for reference in features]
    # Feast answers for the registered service, whatever copy of it it is given.
    registered = resolve_features(store, features.name)
    assert not isinstance(registered, list)
    return [
        (projection.name_to_use(), projection.name, field)
        for projection in registered.feature_view_projections
        for field in projection.features
    ]


def _field(store: FeatureStore, reference: str) -> tuple[str, str, Any]:
    view_name, separator, feature = reference.partition(":")
    if not separator:
        raise SpecError(f"{reference!r} is no feature reference: write 'view:feature'.")
    views = {view.name: view for view in store.list_all_feature_views()}
    registered = view_name.split("@")[0]
    if registered not in views:
        raise FeatureNotFound(
            f"no feature view {registered!r} in project {store.project!r}. "
            f"Views: {', '.join(sorted(views)) or 'none'}.{did_you_mean(registered, views)}"
        )
    fields = {field.name: field for field in views[registered].features}
    if feature not in fields:
        raise FeatureNotFound(
            f"no feature {feature!r} in view {registered!r}. It has: {', '.join(fields)}."
            f"{did_you_mean(feature, fields)}"
        )
    return view_name, registered, fields[feature]
