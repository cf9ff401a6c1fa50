"""What a search has found, as rows for a terminal and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SHOWN = 60


@dataclass(frozen=True)
class Hit:
    """One row that was found.

    Attributes
    ----------
    key : dict of str to object
        By join key.
    cosine : float
        From -1 to 1.
    time : datetime
        Event time of the row that the vector is of, in UTC.
    values : dict of str to object
        The handcrafted columns that the filter names.
    contents : dict of str to object
        Text, or the bytes of a photo, by column of the raw source; None where there is nothing.
    """

    key: dict[str, Any]
    cosine: float
    time: datetime
    values: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return what is shown of it on one line."""
        texts = {name: cut(v) for name, v in self.contents.items() if not isinstance(v, bytes)}
        when = f"{self.time:%Y-%m-%d %H:%M}"
        key = {name: str(value) for name, value in self.key.items()}
        return {"cosine": f"{self.cosine:.3f}", **key, **self.values, "of": when, **texts}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: whole texts, and no photos."""
        texts = {name: v for name, v in self.contents.items() if not isinstance(v, bytes)}
        return {
            "key": {name: plain(value) for name, value in self.key.items()},
            "cosine": self.cosine,
            "time": self.time.isoformat(),
            "values": {name: plain(value) for name, value in self.values.items()},
            "contents": texts,
        }


@dataclass(frozen=True)
class Found:
    """The answer to a question.

    Attributes
    ----------
    view, feature : str
        Whose vectors were compared.
    asked : str
        For what, in words.
    as_of : datetime
        Later rows were left out.
    compared : int
        How many vectors the filter had left.
    hits : list of Hit
        The nearest first.
    notes : list of str
        What to know before the answer is believed.
    """

    view: str
    feature: str
    asked: str
    as_of: datetime
    compared: int
    hits: list[Hit]
    notes: list[str] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """Return what is shown of the hits, a line each."""
        return [hit.row() for hit in self.hits]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            **vars(self),
            "as_of": self.as_of.isoformat(),
            "hits": [hit.to_dict() for hit in self.hits],
        }

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"{self.view}:{self.feature}: the {len(self.hits)} nearest of {self.compared:,} to "
            f"{self.asked}"
        )


def cut(value: Any, length: int = SHOWN) -> Any:
    """Shorten a text to one line.

    >>> cut("a red  sofa", 5)
    'a red…'
    """
    if not isinstance(value, str):
        return value
    text = " ".join(value.split())
    return text if len(text) <= length else text[:length].rstrip() + "…"


def plain(value: Any) -> Any:
    """Return what JSON can say of a value of a key."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)
