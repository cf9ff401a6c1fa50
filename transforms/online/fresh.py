"""Feast's own reads, under the lookup's rules of what is too old and what is half written.

Feast serves a value however old it is. What it computes from such values, the features of
on-demand views, would differ online from the training frame, which leaves them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from feast.infra.online_stores.online_store import OnlineStore

from deepfeast.transforms.features import deep_spec
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.online.protos import as_list
from deepfeast.transforms.online.seal import check_seals
from deepfeast.transforms.online.view import oldest

if TYPE_CHECKING:
    from feast import RepoConfig


def _listed(values: dict[str, Any], view: Any) -> dict[str, Any]:
    """Give Feast the vectors of a view as lists of floats, also those that are kept packed."""
    spec = deep_spec(view)
    kept = {one.name for one in spec.features if one.storage != "float32"} if spec else set()
    return {
        name: type(value).FromString(as_list(value.SerializeToString())) if name in kept else value
        for name, value in values.items()
    }


class FreshStore(OnlineStore):
    """An online store, less what is older than its view's ttl. It can only be read.

    Parameters
    ----------
    store : OnlineStore
    now : datetime
        What ttl is counted from.
    """

    def __init__(self, store: OnlineStore, now: datetime):
        self.store, self.now = store, now

    def online_read(
        self,
        config: RepoConfig,
        table: Any,
        entity_keys: list[Any],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Any] | None]]:
        view = online_table(self.store, config, table)
        sealed = deep_spec(table) is not None and view.sealable
        before = view.seal_bytes() if sealed else None
        rows = self.store.online_read(config, table, entity_keys, requested_features)
        if sealed:
            check_seals(table.name, [before, view.seal_bytes()])
        rows = [(time, values and _listed(values, table)) for time, values in rows]
        since = oldest(table, self.now)
        if since is None:
            return rows
        fresh = [time is not None and view.moment(time) >= since for time, _ in rows]
        return [
            row if is_fresh else (None, None) for row, is_fresh in zip(rows, fresh, strict=True)
        ]

    def online_write_batch(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("a lookup writes through its views")

    def update(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("feast apply prepares the store itself")

    def teardown(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("feast teardown removes the store itself")

    def features(self, repo: Any, references: Sequence[str], rows: Any, full_names: bool) -> Any:
        """Have Feast read features, and compute those of on-demand views.

        Parameters
        ----------
        repo : FeatureStore
        references : sequence of str
        rows : dict of str to list
            Entity keys and request data, by column.
        full_names : bool

        Returns
        -------
        OnlineResponse
        """
        return self.get_online_features(
            repo.config, list(references), rows, repo.registry, repo.project, full_names
        )
