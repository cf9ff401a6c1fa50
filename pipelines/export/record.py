"""Where a view was exported to, kept beside its embedding table.

Whoever forgets a key must know; and a warehouse that has no transactions cannot tell itself which
runs it has.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.write import whole

NAME = "exports.json"


@dataclass
class Export:
    """A place that a view was exported to.

    Attributes
    ----------
    to : str
        As it was asked for.
    transactional : bool
        Whether the place itself tells which runs it has, and rows are removed from it.
    version : int
        Of the embedding table, where it is not transactional; likewise
    runs : list of str
        those that are there.
    """

    to: str
    transactional: bool
    version: int = 0
    runs: list[str] = field(default_factory=list)


def read_exports(scratch: Place) -> dict[str, Export]:
    """Return the exports of a table by where they went.

    Parameters
    ----------
    scratch : Path or BucketPath
        Where the table keeps what is no data.
    """
    path = scratch / NAME
    if not path.is_file():
        return {}
    return {where: Export(**one) for where, one in json.loads(path.read_text()).items()}


def keep_export(scratch: Place, where: str, export: Export) -> None:
    """Note an export, in the place of what was known of it."""
    exports = {**read_exports(scratch), where: export}
    with whole(scratch / NAME) as path:
        path.write_text(json.dumps({name: asdict(one) for name, one in exports.items()}, indent=1))
