"""What a comparison of two windows has found, in words, as rows and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deepfeast.pipelines.search.answer import cut, plain
from deepfeast.transforms.monitoring.windows import Change

ASKED = {
    "place": "vectors lie elsewhere",
    "novelty": "rows unlike any before",
    "prediction": "moves the prediction",
    "missing": "missing",
    "rejected": "rejected",
}
BLIND = (
    "a change that begins and ends between the windows, or that both have",
    "few rows that change a little: of 300 recent texts, one in fifty",
    "what the encoder does not see, such as the order of words for a bag of words",
    "which of two causes it was: a new assortment and a broken import both move vectors",
)


@dataclass(frozen=True)
class Verdict:
    """One question about one feature.

    Attributes
    ----------
    feature : str
    change : Change
    p : float
        Corrected for the number of all tests (Bonferroni).
    alarm : bool
        Whether it is below the level.
    line : float
        So large a difference luck makes in one window of many, as many as the level says.
    told : str
        What was seen, in words.
    """

    feature: str
    change: Change
    p: float
    alarm: bool
    line: float
    told: str

    def row(self) -> dict[str, Any]:
        """Return what is shown of it on one line."""
        share = self.change.question not in ("place", "prediction")
        return {
            "feature": self.feature,
            "question": ASKED[self.change.question],
            "p": f"{self.p:.3f}" if self.p >= 0.001 else "<0.001",
            "": "ALARM" if self.alarm else "",
            "strength": self.told,
            "luck reaches": f"±{self.line:.1%}" if share else f"{self.line:.2f}",
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "feature": self.feature,
            "question": self.change.question,
            "p": self.p,
            "p_alone": self.change.p,
            "alarm": self.alarm,
            "before": self.change.before,
            "now": self.change.now,
            "luck_reaches": self.line,
            "told": self.told,
        }


@dataclass(frozen=True)
class Unusual:
    """A recent row that lies far from all reference rows.

    Attributes
    ----------
    feature : str
    key : dict of str to object
    time : datetime
    share : float
        Of the reference rows, so many lie as far out as this row, or farther.
    contents : dict of str to object
        Text, or the bytes of a photo, by column of the raw source.
    """

    feature: str
    key: dict[str, Any]
    time: datetime
    share: float
    contents: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return what is shown of it on one line."""
        texts = {name: cut(v) for name, v in self.contents.items() if not isinstance(v, bytes)}
        key = {name: str(value) for name, value in self.key.items()}
        return {**key, "of": f"{self.time:%Y-%m-%d %H:%M}", "as far out": self.rarity, **texts}

    @property
    def rarity(self) -> str:
        """How many of the reference rows lie as far out."""
        return f"{self.share:.1%} of before" if self.share else "none of before"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: whole texts, and no photos."""
        return {
            "feature": self.feature,
            "key": {name: plain(value) for name, value in self.key.items()},
            "time": self.time.isoformat(),
            "as_far_out_before": self.share,
            "contents": {n: v for n, v in self.contents.items() if not isinstance(v, bytes)},
        }


@dataclass(frozen=True)
class Drift:
    """What differs between two windows.

    Attributes
    ----------
    view : str
    reference, recent : str
        The windows, in words.
    counts : tuple of int
        Rows of either.
    groups : tuple of int
        Groups of either.
    told : str
        What groups rows.
    alpha : float
        In so many unchanged windows there is an alarm.
    tests : list of Verdict
        The smallest p first.
    unusual : dict of str to list of Unusual
        By feature, the farthest first.
    notes : list of str
        What to know before the answer is believed.
    """

    view: str
    reference: str
    recent: str
    counts: tuple[int, int]
    groups: tuple[int, int]
    told: str
    alpha: float
    tests: list[Verdict]
    unusual: dict[str, list[Unusual]]
    notes: list[str]

    @property
    def alarm(self) -> bool:
        """Whether any test is below the level."""
        return any(test.alarm for test in self.tests)

    @property
    def loudest(self) -> list[Unusual]:
        """The unusual rows of the feature with the smallest p."""
        return next((found for test in self.tests if (found := self.unusual.get(test.feature))), [])

    def rows(self) -> list[dict[str, Any]]:
        """Return the tests, a line each."""
        return [test.row() for test in self.tests]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            **vars(self),
            "alarm": self.alarm,
            "tests": [test.to_dict() for test in self.tests],
            "unusual": {
                name: [row.to_dict() for row in rows] for name, rows in self.unusual.items()
            },
            "blind_to": list(BLIND),
        }

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        loud = [
            f"{test.feature} ({ASKED[test.change.question]})" for test in self.tests if test.alarm
        ]
        if loud:
            return f"{self.view} has drifted: {', '.join(loud)}"
        return f"{self.view}: no drift that luck could not make"

    def __str__(self) -> str:
        """Say it in two lines."""
        rows, groups = self.counts, self.groups
        return (
            f"{self.headline}\n"
            f"recent: {self.recent}, {rows[1]:,} rows in {groups[1]:,} groups; reference: "
            f"{self.reference}, {rows[0]:,} rows in {groups[0]:,} groups ({self.told}); level "
            f"{self.alpha:g}"
        )
