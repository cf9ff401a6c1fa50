"""A text in parts that can be left out: its sentences or, where it has none, some words each."""

from __future__ import annotations

import re
from math import ceil
from typing import NamedTuple

# Ideographic stops need no space after them; lines of a list end without any stop.
END = re.compile(r"[.!?…]+[\"'”’»)\]]*(?=\s)|[。！？]+[」』”’）]*|\n+")
# A run without spaces, as of Chinese, is cut, too.
WORD = re.compile(r"\S{1,24}")
ABBREVIATED = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|no|nr|vs|approx|ca|incl|min|max|etc|sq|ft|bzw|inkl|zzgl)"
    r"|\b\w(?:\.\w)*)\.$",
    re.IGNORECASE,
)
FEW = 3
WORDS = 12
LONG = 40


class Span(NamedTuple):
    """Where a part of a text begins and ends."""

    start: int
    end: int


def text_parts(text: str, most: int = 40) -> list[Span]:
    """Split a text into parts, none of them blank, in their order.

    Sentences; of less than three of them, such as a title, single words or a few together. A
    sentence of more than 40 words is taken in chunks of words.

    Parameters
    ----------
    text : str
    most : int
        How many parts, at most: neighbours then become one.

    Returns
    -------
    list of Span
        Empty where the text is one word, of which nothing can be left out.

    Examples
    --------
    >>> text = "A red sofa. Two seats, approx. 2 m wide! Collect it in Oslo"
    >>> [text[part.start : part.end] for part in text_parts(text)]
    ['A red sofa.', 'Two seats, approx. 2 m wide!', 'Collect it in Oslo']
    >>> [part.end for part in text_parts("red sofa")]
    [3, 8]
    """
    parts = _sentences(text)
    if len(parts) < FEW:
        parts = _chunks(text, Span(0, len(text)), WORDS)
    else:
        parts = [
            smaller
            for part in parts
            for smaller in _chunks(text, part, ceil(_count(text, part) / LONG))
        ]
    size = ceil(len(parts) / most)
    joined = [parts[start : start + size] for start in range(0, len(parts), max(1, size))]
    return [Span(some[0].start, some[-1].end) for some in joined] if len(parts) > 1 else []


def without(text: str, part: Span) -> str:
    """Leave a part out.

    >>> without("A red sofa. Two seats.", Span(0, 11))
    'Two seats.'
    """
    return f"{text[: part.start].rstrip()} {text[part.end :].lstrip()}".strip()


def _sentences(text: str) -> list[Span]:
    ends = [
        match.end()
        for match in END.finditer(text)
        if match[0] != "." or not ABBREVIATED.search(text, max(0, match.end() - 12), match.end())
    ]
    found: list[Span] = []
    start = 0
    for end in [*dict.fromkeys(ends), len(text)]:
        piece = text[start:end]
        if re.search(r"\w", piece):
            first = start + len(piece) - len(piece.lstrip())
            found.append(Span(first, start + len(piece.rstrip())))
        start = end
    return found


def _count(text: str, part: Span) -> int:
    return len(WORD.findall(text, part.start, part.end))


def _chunks(text: str, part: Span, most: int) -> list[Span]:
    """Cut a part into so many chunks of about as many words each."""
    words = [Span(*match.span()) for match in WORD.finditer(text, part.start, part.end)]
    if not words:
        return []
    size = ceil(len(words) / max(1, most))
    some = [words[start : start + size] for start in range(0, len(words), size)]
    return [Span(chunk[0].start, chunk[-1].end) for chunk in some]
