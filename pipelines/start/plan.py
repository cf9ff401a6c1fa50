"""What each column of a table is taken for, why, and what is asked of a person: plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deepfeast.pipelines.start.convert import ISO
from deepfeast.pipelines.start.photos import PhotoColumn


@dataclass(frozen=True)
class Plan:
    """How a table becomes features and labels.

    Columns go by plain names; `names` says what the others are called in the table.

    Parameters
    ----------
    name : str
        Names the entity, the views and the files.
    key : str, optional
        Column of ids. Without it rows are numbered from 1, as they stand.
    number_key : bool
        The ids are whole numbers.
    time : str, optional
        Column of moments. Without it the table is static: one moment for all rows.
    time_format : str
        As in ``datetime.strptime``, or ``"ISO8601"``.
    target : str, optional
        What a model predicts; without it there are no labels.
    target_is : {"number", "integer", "class"}
    groups : str, optional
        Column of what belongs together.
    texts : sequence of str
    tagged : sequence of str
        Those of the texts whose HTML is taken off.
    photos : mapping of str to str
        Columns of photos, and what stands between several of one cell: "" for nothing.
    numbers, categories : sequence of str
        Handcrafted columns.
    comma : sequence of str
        Those of the numbers, and the target, that have a decimal comma.
    names : mapping of str to str
        Plain name to the name in the table, where they differ.
    """

    name: str
    key: str | None = None
    number_key: bool = False
    time: str | None = None
    time_format: str = ISO
    target: str | None = None
    target_is: str = "number"
    groups: str | None = None
    texts: Sequence[str] = ()
    tagged: Sequence[str] = ()
    photos: Mapping[str, str] = field(default_factory=dict)
    numbers: Sequence[str] = ()
    categories: Sequence[str] = ()
    comma: Sequence[str] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def join_key(self) -> str:
        """The name of the entity's key: the column of ids, or the number of the row."""
        return self.key or f"{self.name}_row"

    @property
    def handcrafted(self) -> list[str]:
        """Numbers and categories."""
        return [*self.numbers, *self.categories]

    @property
    def used(self) -> list[str]:
        """Every column of the table that is read, once."""
        named = [self.key, self.time, self.target, self.groups]
        every = [name for name in named if name]
        every += [*self.texts, *self.photos, *self.handcrafted]
        return list(dict.fromkeys(every))


@dataclass(frozen=True)
class Asked:
    """What a person has said of the columns, by their names in the file or plain ones.

    Attributes
    ----------
    target, key, time, groups : str, optional
        ``"none"`` says that there is none.
    texts, photos, categories, skip : sequence of str
        Columns to take for that, whatever they look like.
    photos_root : Path, optional
        Where the paths of photos begin.
    hosts : sequence of str
        Hosts that photos may be fetched from.
    log_target : bool, optional
        Predict the target's logarithm; by default where its values are skewed.
    """

    target: str | None = None
    key: str | None = None
    time: str | None = None
    groups: str | None = None
    texts: Sequence[str] = ()
    photos: Sequence[str] = ()
    categories: Sequence[str] = ()
    skip: Sequence[str] = ()
    photos_root: Path | None = None
    hosts: Sequence[str] = ()
    log_target: bool | None = None


@dataclass(frozen=True)
class Doubt:
    """Something that cannot be told from the table.

    Attributes
    ----------
    flag : str
        The option that answers it, such as ``time``.
    question : str
    options : list of str
    usual : str, optional
        What is taken where nobody answers.
    """

    flag: str
    question: str
    options: list[str]
    usual: str | None = None


@dataclass
class Proposal:
    """What a table is taken for.

    Attributes
    ----------
    plan : Plan
    photos : dict of str to PhotoColumn
        How the columns of photos hold them.
    reasons : list of (role, column, why)
        One for each column, in the order of the roles.
    notes : list of str
        What is to be known besides.
    doubts : list of Doubt
    log_target : bool
    missing_share : float
        Of photos that were looked for and are not there.
    """

    plan: Plan
    photos: dict[str, PhotoColumn] = field(default_factory=dict)
    reasons: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    log_target: bool = False
    missing_share: float = 0.0
