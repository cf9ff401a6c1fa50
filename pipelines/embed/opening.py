"""What a run works on: the table, the source and the encoders, opened and found to agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from deepfeast.pipelines.embed.carry import carried
from deepfeast.pipelines.embed.fitting import RunEncoders, microseconds
from deepfeast.pipelines.embed.folder import RunFolder, Spill
from deepfeast.pipelines.embed.job import Job
from deepfeast.pipelines.embed.raw import read_source
from deepfeast.pipelines.embed.seen import Choice, Seen, digest, lies_inside, read_seen
from deepfeast.transforms.embeddings.check import check_table
from deepfeast.transforms.encoders.column import open_reader
from deepfeast.transforms.errors import ColumnNotFound
from deepfeast.transforms.files.csv import raw_types
from deepfeast.transforms.files.schema import check_contents, check_keys, lost_column
from deepfeast.transforms.files.slices import spread
from deepfeast.transforms.warehouse.open import lies_in_files

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from feast import FeatureStore, FeatureView

    from deepfeast.transforms.embeddings.table import EmbeddingTable
    from deepfeast.transforms.features import DeepViewSpec


class Opening:
    """A view's table and encoders, and the job that a source makes of them.

    Parameters
    ----------
    view, spec
        The view and what is declared of it.
    table, delta
        Its embedding table, and the Delta table as it stands; None where there is none yet.
    folder : RunFolder
        Where the run works.
    rebuild : bool
        Whether all rows are to be encoded into a new version.
    reread : bool
        Whether files are to be read that have not changed since the last run.

    Attributes
    ----------
    commits : list of Commit
        Of the table, newest first.
    damaged : set of str
        Data files that a rebuild cannot read.
    read : Read
        The source, once a job was made.
    choice : Choice
        Which of its files are read.
    of : str
        Names what is read, where it is files.
    may_know_files : bool
        Whether rows mean the same as long as their file does not change.
    """

    def __init__(
        self,
        store: FeatureStore,
        view: FeatureView,
        spec: DeepViewSpec,
        table: EmbeddingTable,
        delta: DeltaTable | None,
        folder: RunFolder,
        rebuild: bool,
        reread: bool = False,
    ):
        self.store, self.view, self.spec, self.table = store, view, spec, table
        self.delta, self.folder, self.rebuild = delta, folder, rebuild
        self.damaged = check_table(table, delta, rebuild)
        self.commits = table.commits(delta) if delta else []
        held = self.commits[0].meta["fingerprints"] if self.commits else {}
        self.encoders = RunEncoders(spec.features, table, held, folder.fitted, rebuild)
        self.choice, self.may_know_files, self.of = Choice(), False, ""
        source = store.get_data_source(spec.source)
        if lies_in_files(source):
            types = raw_types(view, [feature.column for feature in spec.features])
            self.of = digest(source, spec, types)
            self.choice = Choice(None if rebuild or reread else self._known())

    def _known(self) -> Seen | None:
        """Return which files the table has, if that still holds."""
        if not self.commits:
            return None
        seen = read_seen(self.table, self.commits[0].meta["run_id"])
        stones = self.encoders.forgotten
        forgotten = len(stones.times) if stones else 0
        return seen if seen and seen.of == self.of and seen.forgotten <= forgotten else None

    @property
    def rows(self) -> int:
        """Rows of the source, those of files that are not read among them."""
        return self.read.source.rows + self.choice.rows

    def read_all(self) -> None:
        """Let the next job read all files."""
        self.choice = Choice()

    def job(
        self,
        run_id: str,
        since: datetime | None,
        until: datetime | None,
        fit_until: datetime | None,
        threads: int | None,
        workers: int = 1,
    ) -> Job | None:
        """Open the source and the encoders; None where there is nothing to read.

        The slices are cut so that `workers` find enough of them.
        """
        held = self.table.dataset(self.delta).schema if self.delta else None
        last = self.commits[0].meta.get("read") if self.commits and not self.rebuild else None
        where, view = self.folder.source, self.view.name
        try:
            self.read = read_source(
                self.store, self.view, self.spec, where, last, since, until, self.choice
            )
        except ColumnNotFound as error:
            raise lost_column(error, held, self.spec.source, self.table.uri, view) from error
        source = self.read.source
        if source.slices:
            check_contents(source.schema(), source.name, [f.column for f in self.spec.features])
        self.encoders.settle(source, fit_until or until)
        if not source.slices:
            return None
        source = replace(source, slices=spread(source.slices, workers))
        source = carried(source, self.folder.source, self.folder.carried)
        encoders = self.encoders.encoders
        if self.of:
            self.may_know_files = lies_inside(self.spec.features, encoders, source.schema())
        job = Job(
            run_id=run_id,
            folder=self.folder,
            source=source,
            keys=tuple(key.name for key in self.view.entity_columns),
            features=self.spec.features,
            readers={
                feature.name: open_reader(feature, encoders[feature.name], source.root)
                for feature in self.spec.features
            },
            spills={
                name: Spill(self.table.spill(fingerprint))
                for name, fingerprint in self.encoders.fingerprints.items()
            },
            states=self.encoders.states,
            threads=threads,
            since=None if since is None else microseconds(since),
            until=None if until is None else microseconds(until),
            forgotten=self.encoders.forgotten,
        )
        if held:
            check_keys(job.key_schema(), held, source.name, self.table.uri, view)
        return job
