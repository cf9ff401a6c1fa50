"""What is new to the table: the plan, made of the files that a run has in its folder.

It asks `plan` for relations and keeps those that later steps ask for again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from deepfeast.pipelines.embed import plan
from deepfeast.pipelines.embed.rejects import gather_rejects
from deepfeast.pipelines.embed.reuse import reuse
from deepfeast.pipelines.embed.session import parquet, spilled
from deepfeast.transforms.arrow import regroup
from deepfeast.transforms.embeddings.check import sound
from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.slices import EVENT_TIME

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Session
    from duckdb import DuckDBPyRelation as Relation

    from deepfeast.pipelines.embed.folder import Spill
    from deepfeast.pipelines.embed.job import Job
    from deepfeast.pipelines.embed.opening import Opening

PART_ROWS = 16_384


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
    """

    def __init__(self, session: Session, job: Job, opening: Opening):
        self.session, self.job, self.opening = session, job, opening
        columns = job.columns()
        hashes = parquet(session, job.folder.hashes())
        assert hashes is not None
        rows = plan.one_a_row(hashes, columns, job.source.name)
        if opening.delta and not opening.rebuild:
            table = session.from_arrow(opening.table.dataset(opening.delta))
            rows = plan.new_rows(rows, table, columns)
        # Kept, since every later step asks for them.
        rows.create("rows")
        self._rows = session.table("rows")
        self.rows, self.contents = plan.count_contents(self._rows, columns)

    def missing(self, spill: Spill, features: list[str]) -> Iterator[tuple[str, Relation]]:
        """Yield by feature the contents whose vectors are neither spilled nor in the table.

        What the table has is spilled first.
        """
        columns, opening = self.job.columns(features), self.opening

        def wanted() -> Relation:
            known = parquet(self.session, spill.hashes())
            return plan.contents_to_encode(self._rows, known, columns)

        if opening.delta:
            held = opening.encoders.held_by(opening.encoders.fingerprints[features[0]])
            hashes = wanted().project("hash").to_arrow_table()["hash"]
            table = sound(opening.table.dataset(opening.delta), opening.damaged)
            reuse(table, held, hashes, spill, self.job.run_id)
        wanted().create("wanted")
        found = self.session.table("wanted")
        for name in features:
            mine = found.filter(f"feature = {plan.text(name)}").project("* exclude (feature)")
            yield name, mine
        self.session.execute("drop table wanted")

    def rejects(self) -> pa.Table:
        """Collect the rejects of the new rows, event times as in the source."""
        job = self.job
        by_name = {feature.name: feature for feature in job.features}
        found = gather_rejects(
            self._rows,
            parquet(self.session, job.folder.unread()),
            parquet(self.session, job.folder.unencoded()),
            [[by_name[name] for name in names] for _, names in job.groups()],
            job.columns(),
        ).to_arrow_table()
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
