"""The Feast compute engine plugin: ``feast materialize`` runs as a Beam job.

One line of ``feature_store.yaml`` brings it in::

    batch_engine: {type: deepfeast.pipelines.engine.BeamEngine, runner: FnApiRunner}

Deep feature views are embedded first; then the latest rows of every view are written in parallel,
and only where they are newer. Feast keeps the watermark, as with its own engine; the online store
keeps what the rows of a deep view were made with.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from feast.infra.common.materialization_job import MaterializationJob, MaterializationJobStatus
from feast.infra.compute_engines.base import ComputeEngine
from feast.repo_config import FeastConfigBaseModel

from deepfeast.pipelines.beam import hushed
from deepfeast.pipelines.materialize.lineage import traced
from deepfeast.pipelines.materialize.source import needs_feast
from deepfeast.pipelines.metrics import Metrics
from deepfeast.transforms.features import deep_spec

if TYPE_CHECKING:
    from feast import FeatureView
    from feast.infra.common.materialization_job import MaterializationTask
    from feast.infra.registry.base_registry import BaseRegistry

log = logging.getLogger(__name__)


class BeamEngineConfig(FeastConfigBaseModel):
    """What may stand under ``batch_engine:``."""

    type: Literal["deepfeast.pipelines.engine.BeamEngine"] = "deepfeast.pipelines.engine.BeamEngine"
    runner: str = "FnApiRunner"
    """A Beam runner by name."""
    options: Sequence[str] = ()
    """Beam options as on a command line, e.g. ``["--flink_master=host:8081"]``."""
    batch_rows: int = 5_000
    """Rows of one write to the online store."""
    staging: str | None = None
    """Folder that driver and workers share; needed by remote runners for sources not in files."""
    embed: bool = True
    """Run the embed job of a deep feature view before it is written."""
    metrics: str | None = None
    """A file for what was done, as Prometheus reads it; relative to the repo."""


@dataclass
class BeamJob(MaterializationJob):
    """A materialization that has ended well; one that has not raises instead."""

    task: MaterializationTask
    counts: dict[str, int]

    def status(self) -> MaterializationJobStatus:
        return MaterializationJobStatus.SUCCEEDED

    def error(self) -> BaseException | None:
        return None

    def should_be_retried(self) -> bool:
        return False

    def job_id(self) -> str:
        return f"{self.task.feature_view.name}-{self.task.start_time}-{self.task.end_time}"

    def url(self) -> str | None:
        return None


class BeamEngine(ComputeEngine):
    """Materializes feature views through Beam.

    Parameters
    ----------
    runner : str
        ``FnApiRunner`` (this machine), ``FlinkRunner``, ``SparkRunner``, ``DataflowRunner``, or
        ``PortableRunner``.
    options : sequence of str
        Beam options.
    batch_rows : int
        Rows of one write to the online store.
    staging : str, optional
        Folder that driver and workers share.
    embed : bool
        Embed deep feature views first.
    metrics : str, optional
        File for the numbers of each view, as of Prometheus.

    A runner that loses data, Dask's, is refused when the first view is materialized.
    """

    def __init__(
        self,
        *,
        runner: str = "FnApiRunner",
        options: Sequence[str] = (),
        batch_rows: int = 5_000,
        staging: str | None = None,
        embed: bool = True,
        metrics: str | None = None,
        **feast: Any,
    ):
        feast.pop("type", None)
        super().__init__(**feast)
        self.options = [f"--runner={runner}", *options]
        self.batch_rows, self.staging, self.embed = batch_rows, staging, embed
        repo = Path(self.repo_config.repo_path or "")
        self.metrics = Metrics(repo / metrics if metrics else None, self.repo_config.project)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Prepare nothing: a job brings all it needs."""

    def teardown_infra(self, *args: Any, **kwargs: Any) -> None:
        """Remove nothing: a job leaves nothing behind."""

    def materialize(
        self,
        registry: BaseRegistry,
        tasks: MaterializationTask | list[MaterializationTask],
        **kwargs: Any,
    ) -> list[MaterializationJob]:
        """Bring views online, one after the other; the first that fails ends it."""
        some = tasks if isinstance(tasks, list) else [tasks]
        return [self._bring_online(registry, task, **kwargs) for task in some]

    def _bring_online(
        self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any
    ) -> MaterializationJob:
        view = task.feature_view
        if needs_feast(view):
            return self._with_feast(registry, task, **kwargs)
        started = time.monotonic()
        counts: dict[str, int] = {}
        with hushed():
            if self.embed and deep_spec(view):
                self._embed(view)
            if view.online:
                with traced(self.repo_config, view, counts):
                    counts.update(self._write(view, task))
        seconds = time.monotonic() - started
        self.metrics.materialized(view.name, {**counts, "seconds": seconds})
        log.info(f"{view.name}: {_told(counts) if view.online else 'not online'}, {seconds:.1f} s")
        return BeamJob(task, counts)

    def _with_feast(
        self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any
    ) -> MaterializationJob:
        from feast.infra.compute_engines.local.compute import LocalComputeEngine

        local = LocalComputeEngine(
            backend="pandas",
            repo_config=self.repo_config,
            offline_store=self.offline_store,
            online_store=self.online_store,
        )
        return local.materialize(registry, task, **kwargs)[0]

    def _embed(self, view: FeatureView) -> None:
        from feast import FeatureStore

        from deepfeast.pipelines.embed import embed

        repo = str(self.repo_config.repo_path) if self.repo_config.repo_path else None
        store = FeatureStore(repo_path=repo, config=self.repo_config)
        self.metrics.embedded(embed(store, view.name, options=self.options))

    def _write(self, view: FeatureView, task: MaterializationTask) -> dict[str, int]:
        from deepfeast.pipelines.materialize.bring import bring_online

        return bring_online(
            self.repo_config,
            self.offline_store,
            view,
            task.start_time,
            task.end_time,
            options=self.options,
            batch_rows=self.batch_rows,
            staging=self.staging,
        )


def _told(counts: dict[str, int]) -> str:
    """Say what was counted; not every runner counts."""
    if not counts:
        return "brought online"
    return (
        f"{counts.get('rows_written', 0):,} rows written online, "
        f"{counts.get('rows_older_than_stored', 0):,} older than those stored"
    )
