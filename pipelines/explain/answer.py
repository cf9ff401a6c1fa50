"""What the features of a key respond to, in words, as rows and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.lift.tell.occluded import signed_amount, where
from deepfeast.pipelines.lift.tell.units import amount
from deepfeast.pipelines.search.answer import cut, plain
from deepfeast.transforms.occlusion.texts import Span

if TYPE_CHECKING:
    from deepfeast.transforms.occlusion.effects import Part

SHOWN = 100


@dataclass(frozen=True)
class Response:
    """What one deep feature of a key responds to.

    Attributes
    ----------
    feature, column : str
        The feature, and the column of the raw source that it is made of.
    content : str, bytes or tuple of bytes
        The text, the photo or the photos.
    unit : str
        Of predictions and effects: the target, or the score of a class.
    prediction : float
        What the probe predicts from the whole content.
    skill : str
        How well it predicts rows that it has not seen, in words.
    parts : list of Part
        In the order of the content.
    """

    feature: str
    column: str
    content: str | bytes | tuple[bytes, ...]
    unit: str
    prediction: float
    skill: str
    parts: list[Part]

    @property
    def strongest(self) -> list[Part]:
        """The parts, those that move the prediction most first."""
        return sorted(self.parts, key=lambda part: -abs(part.effect))

    @property
    def told_noise(self) -> str:
        """How many parts move the prediction by more than luck; nothing where that is not known."""
        known = [part for part in self.parts if part.noise is not None]
        if not known:
            return ""
        beyond = sum(not part.luck for part in known)
        return (
            f"{beyond or 'None'} of {len(known)} parts move{'s' if beyond == 1 else ''} it by more "
            f"than its noise: what luck would, had other rows been labelled."
        )

    def rows(self, count: int) -> list[dict[str, Any]]:
        """Return the strongest parts, a line each."""
        return [
            {
                self.unit: signed_amount(part.effect),
                **({} if part.noise is None else {"noise": f"±{amount(part.noise)}"}),
                "what": cut(where(self.content, part), SHOWN),
            }
            for part in self.strongest[:count]
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: all parts, the whole text and no photos."""
        told = {name: getattr(self, name) for name in ("feature", "column", "unit", "prediction")}
        parts = [
            {
                "effect": part.effect,
                "noise": part.noise,
                "what": where(self.content, part),
                **(
                    part.place._asdict()
                    if isinstance(part.place, Span)
                    else {"photo": part.photo, **part.place._asdict()}
                ),
            }
            for part in self.parts
        ]
        text = self.content if isinstance(self.content, str) else None
        return {**told, "skill": self.skill, "text": text, "parts": parts}

    def __str__(self) -> str:
        """Say it in one line."""
        shown = amount(abs(self.prediction))
        sign = "−" if self.prediction < 0 else ""
        return (
            f"{self.feature}: from {self.column} alone a linear model predicts {self.unit} "
            f"{sign}{shown}. {self.skill} {self.told_noise}".rstrip()
        )


@dataclass(frozen=True)
class Explained:
    """What the features of one key respond to.

    Attributes
    ----------
    view : str
    key : dict of str to object
    time : datetime
        Event time of the row, in UTC.
    target : str
    responses : list of Response
        One a feature.
    notes : list of str
        What to know before the answer is believed.
    """

    view: str
    key: dict[str, Any]
    time: datetime
    target: str
    responses: list[Response]
    notes: list[str] = field(default_factory=list)

    @property
    def told_key(self) -> str:
        """The key as people write it."""
        return ", ".join(f"{name} {value}" for name, value in self.key.items())

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "view": self.view,
            "key": {name: plain(value) for name, value in self.key.items()},
            "time": self.time.isoformat(),
            "target": self.target,
            "features": [one.to_dict() for one in self.responses],
            "notes": self.notes,
        }

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.view}: {self.told_key}, of {self.time:%Y-%m-%d %H:%M}"
