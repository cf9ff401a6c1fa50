"""What is new to the table: the plan, made of the files that a run has in its folder.

It asks `plan` for relations and keeps those that later steps ask for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from deepfeast.pipelines.embed import plan
from deepfeast.pipelines.embed.rejects import Found, gather_rejects, tell
from deepfeast.pipelines.embed.reuse import reuse
from deepfeast.pipelines.embed.seen import Seen, SeenFile
from deepfeast.pipelines.embed.session import opened, parquet, spilled
from deepfeast.transforms.arrow import regroup
from deepfeast.transforms.embeddings.check import sound
from deepfeast.transforms.features import CREATED
from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.slices import EVENT_TIME

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Session
    from duckdb import DuckDBPyRelation as Relation

    from deepfeast.pipelines.embed.folder import Spill
    from deepfeast.pipelines.embed.job import Job
    from deepfeast.pipelines.embed.opening import Opening

PART_ROWS = 16_384


@contextmanager
def find_news(
    opening: Opening, open_job: Callable[[], Job | None], hash_: Callable[[Job], None]
) -> Iterator[News | None]:
    """Read and plan; once more with all files where one that was not read may have a say.

    Parameters
    ----------
    open_job : callable
        Opens the job; it returns None where there is nothing to read.
    hash_ : callable
        Hashes its slices.
    """
    while True:
        job = open_job()
        if job is None:
            yield None
            return
        opening.folder.make()
        hash_(job)
        with opened(opening.folder.overflow) as session:
            news = News(session, job, opening)
            if not news.in_doubt():
                yield news
                return
        opening.folder.remove()
        opening.read_all()


class News:
    """The rows that are new, and what is to be done for them.

    Parameters
    ----------
    session : Session
        Of the run.
    job : Job
        Its slices are hashed.
    opening : Opening
        With the table that the rows may be in.

    Attributes
    ----------
    rows : int
        How many are new.
    contents : int
        Their cells that are neither missing nor rejected.
    repeated : bool
        Whether some key and event time has several rows in what was read.
    corrected : int
        New rows whose key and event time the table has, with another content.
    """

    def __init__(self, session: Session, job: Job, opening: Opening):
        self.session, self.job, self.opening = session, job, opening
        columns = job.columns()
        self._hashes = job.folder.hashes()
        rows = self._hashed()
        self.repeated = plan.repeated(rows, columns)
        if self.repeated:
            rows = plan.one_a_row(rows, columns, job.source.name)
        table = self._table(rows) if opening.delta and not opening.rebuild else None
        if table:
            rows = plan.new_rows(rows, table, columns)
        # Kept, since every later step asks for them.
        rows.create("rows")
        self._rows = session.table("rows")
        self.rows, self.contents = plan.count_contents(self._rows, columns)
        self.corrected = 0
        if table and self.rows and opening.choice.seen:
            plan.of_same_row(self._rows, table, columns).create("corrected")
            self.corrected = len(session.table("corrected"))

    def in_doubt(self) -> bool:
        """Tell whether a file that was not read may have a row that counts instead of a new one.

        It may, where a new row corrects one and no created time says that it is the later one.
        """
        choice, created = self.opening.choice, self.job.source.created
        if not (choice.kept and self.corrected):
            return False
        latest = choice.created
        late = "false" if latest is None else f"epoch_us(source_created) <= {latest}"
        doubts = f"source_created is null or {late}" if created else "true"
        return bool(self.session.table("corrected").filter(doubts).limit(1).fetchall())

    def seen(self, windowed: bool) -> Seen | None:
        """Say which files the table has once the run is published; None where it cannot be told.

        Parameters
        ----------
        windowed : bool
            Whether the run left rows out for their time: it knows no more files than before.
        """
        opening, choice = self.opening, self.opening.choice
        known = choice.seen
        torn = self.repeated or self.corrected > 0
        if windowed:
            # What corrects a file that is known lies in one that is not, and may go unnoticed.
            return None if torn else known
        if not opening.may_know_files:
            return None
        # Read together, rows of one key and time were found to be repeated, if they are.
        torn = bool((known and known.torn) or torn) if choice.kept else self.repeated
        stones = opening.encoders.forgotten
        counts, bad = self._files()
        return choice.seen_now(opening.of, torn, len(stones.times) if stones else 0, counts, bad)

    def _files(self) -> tuple[dict[str, SeenFile], set[str]]:
        """Count what was read by file, and name the files of which rows were left out."""
        path = {
            part.number: self.opening.choice.path_of(part.path) for part in self.job.source.slices
        }
        counts = {name: SeenFile("", 0) for name in path.values()}
        for part in self.job.source.slices:
            name = path[part.number]
            counts[name] = replace(counts[name], rows=counts[name].rows + part.rows)
        written = "slice, epoch_us(max(source_created))"
        for number, late in self._hashed().aggregate(written, "slice").fetchall():
            name = path[number]
            latest = max(filter(None, (late, counts[name].created)), default=None)
            counts[name] = replace(counts[name], created=latest)
        unread = self.job.folder.unread()
        found = parquet(self.session, unread)
        left_out = (
            found.filter("feature = ''").aggregate("file_index", "file_index") if found else None
        )
        numbers = left_out.fetchall() if left_out else []
        return counts, {path[self.job.folder.slice_of(unread[index])] for (index,) in numbers}

    def _hashed(self) -> Relation:
        found = parquet(self.session, self._hashes)
        assert found is not None
        return found

    def _table(self, rows: Relation) -> Relation:
        """Return the table, or what may matter of it where few files were read."""
        assert self.opening.delta is not None
        table = self.session.from_arrow(self.opening.table.dataset(self.opening.delta))
        columns = self.job.columns()
        if not self.opening.choice.kept:
            return table
        told = table.project(f"{columns.key}, {CREATED}, {columns.hashes}")
        plan.of_same_row(told, rows, columns).create("held")
        return self.session.table("held")

    def missing(
        self, spill: Spill, features: list[str], copy: bool = True
    ) -> Iterator[tuple[str, Relation]]:
        """Yield by feature the contents whose vectors are neither spilled nor in the table.

        Parameters
        ----------
        copy : bool
            Whether what the table has is spilled first.
        """
        opening, session = self.opening, self.session
        known = parquet(session, spill.hashes())
        asked = plan.contents_to_encode(self._rows, known, self.job.columns(features))
        asked.create("wanted")
        found = session.table("wanted")
        if opening.delta:
            held = opening.encoders.held_by(opening.encoders.fingerprints[features[0]])
            table = sound(opening.table.dataset(opening.delta), opening.damaged)
            to = spill if copy else None
            known = reuse(session, table, held, found, to, self.job.run_id)
            plan.unknown(found, known).create("unheld")
            found = session.table("unheld")
        for name in features:
            mine = found.filter(f"feature = {plan.text(name)}").project("* exclude (feature)")
            yield name, mine
        session.execute("drop table wanted")
        session.execute("drop table if exists unheld")

    def find_rejects(self, encoded: bool = True) -> Found:
        """Collect the rejects of the new rows, and count them.

        Parameters
        ----------
        encoded : bool
            Whether the contents are encoded.
        """
        job = self.job
        by_name = {feature.name: feature for feature in job.features}
        gather_rejects(
            self._rows,
            parquet(self.session, job.folder.unread()),
            parquet(self.session, job.folder.unencoded()) if encoded else None,
            [[by_name[name] for name in names] for _, names in job.groups()],
            job.columns(),
        ).create("rejects")
        return tell(self.session.table("rejects"), job.keys)

    def rejects(self) -> pa.Table:
        """Return the rejects that were found, event times as in the source."""
        job = self.job
        found = self.session.table("rejects").to_arrow_table()
        place = found.schema.get_field_index(job.source.timestamp)
        times = found.column(place).cast(EVENT_TIME)
        return found.set_column(place, job.source.timestamp, times)

    def locate(self) -> list[Place]:
        """Write the new rows in parts, each row with the place of its vectors; return the files."""
        folder = self.job.folder
        files: list[Place] = []
        spills: dict[str, Relation] = {}
        for number, (spill, features) in enumerate(self.job.groups()):
            found = spill.hashes()
            spilled(self.session, found, len(files)).create(f"spill_{number}")
            spills |= dict.fromkeys(features, self.session.table(f"spill_{number}"))
            files += found
        folder.write_places(files)
        batches = plan.places(self._rows, spills).to_arrow_reader(PART_ROWS)
        parts = enumerate(regroup(batches, PART_ROWS))
        return [folder.write_rows(number, part) for number, part in parts]
