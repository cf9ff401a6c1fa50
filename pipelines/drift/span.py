"""A window of time in one word: ``2024-01-01..2024-03-31``."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from deepfeast.transforms.errors import DriftError
from deepfeast.transforms.history.latest import Span
from deepfeast.transforms.times import in_utc

FIRST = datetime(1970, 1, 1, tzinfo=timezone.utc)
LAST = datetime(9999, 1, 1, tzinfo=timezone.utc)


def read_span(text: str) -> Span:
    """Read a window: both ends are in it, and a date as the end is in it to its last moment.

    Parameters
    ----------
    text : str
        Two dates or times in ISO 8601, UTC unless they say otherwise, with two dots between; one
        of them may be left out, for a window without that end.

    Raises
    ------
    DriftError
        If it is none.

    Examples
    --------
    >>> span = read_span("2024-01-01..2024-03-31")
    >>> span.start.isoformat(), span.end.isoformat()
    ('2024-01-01T00:00:00+00:00', '2024-03-31T23:59:59.999999+00:00')
    >>> read_span("2024-05-01T12:00..").end is None
    True
    """
    start, dots, end = text.partition("..")
    try:
        if not dots or not (start.strip() or end.strip()):
            raise ValueError
        span = Span(_moment(start, last=False), _moment(end, last=True))
    except ValueError:
        raise DriftError(
            f"the window {text!r} is none: write two dates or times with two dots between, such as "
            f"2024-01-01..2024-03-31; one of them may be left out."
        ) from None
    if span.start and span.end and span.start > span.end:
        raise DriftError(f"the window {text!r} ends before it begins.")
    return span


def _moment(text: str, last: bool) -> datetime | None:
    text = text.strip()
    if not text:
        return None
    moment = in_utc(datetime.fromisoformat(text))
    # A date alone has ten characters.
    if last and len(text) <= 10:
        moment += timedelta(days=1) - timedelta(microseconds=1)
    return moment


def overlap(one: Span, other: Span) -> bool:
    """Tell whether a moment is in both.

    >>> overlap(read_span("..2024-01-31"), read_span("2024-01-31T12:00..2024-03-01"))
    True
    """
    starts = [span.start or FIRST for span in (one, other)]
    ends = [span.end or LAST for span in (one, other)]
    return max(starts) <= min(ends)


def told(span: Span) -> str:
    """Write a window for people.

    >>> told(read_span("2024-01-01..2024-03-31")), told(read_span("2024-04-01T06:30.."))
    ('2024-01-01 to 2024-03-31', 'from 2024-04-01 06:30')
    """
    start, end = (None if one is None else _short(one) for one in (span.start, span.end))
    if start and end:
        return f"{start} to {end}"
    return f"from {start}" if start else f"until {end}"


def _short(moment: datetime) -> str:
    whole = moment.time() == moment.min.time() or moment.time() == moment.max.time()
    return f"{moment:%Y-%m-%d}" if whole else f"{moment:%Y-%m-%d %H:%M}"
