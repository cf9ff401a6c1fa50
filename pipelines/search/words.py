"""Does a query speak the language of the texts that are searched? A look at its words."""

from __future__ import annotations

import re
from collections.abc import Iterable

LOOKED_AT = 500
_WORD = re.compile(r"[^\W\d_]+")


def strange_words(query: str, texts: Iterable[str | None]) -> list[str]:
    """Return the words of a query that no text has, where most of its words are such.

    Examples
    --------
    >>> texts = ["A red sofa", "Blue chairs", None]
    >>> strange_words("rotes Sofa bequem", texts), strange_words("comfy red sofa", texts)
    (['rotes', 'bequem'], [])
    """
    known = {word.casefold() for text in texts if text for word in _WORD.findall(text)}
    asked = list(dict.fromkeys(_WORD.findall(query)))
    strange = [word for word in asked if word.casefold() not in known]
    return strange if 2 * len(strange) > len(asked) else []


def note_of(strange: list[str], texts: int) -> str:
    """Say it.

    >>> note_of(["rotes"], 500)
    "no word of 500 texts that were looked at: 'rotes'. Is the query in another language than the \
texts? Then the answer means little, unless the encoder knows both"
    """
    return (
        f"no word of {texts:,} texts that were looked at: {', '.join(map(repr, strange))}. Is the "
        f"query in another language than the texts? Then the answer means little, unless the "
        f"encoder knows both"
    )
