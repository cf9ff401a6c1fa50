"""The rejects of a run, row by row, and whether they are too many."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deepfeast.pipelines.embed.plan import Columns, quoted, text
from deepfeast.transforms.errors import TooManyRejects

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation as Relation

    from deepfeast.transforms.features import DeepFeature

BAD = quoted("deepfeast bad")


@dataclass(frozen=True)
class Found:
    """What a run rejected.

    Attributes
    ----------
    cells : int
        Cells, and rows that were left out for want of a key or a time.
    contents : int
        Distinct contents that could not be encoded.
    unread : int
        Cells that have no content.
    left_out : int
        Rows that were left out.
    reasons : dict of str to dict
        By reason: ``count`` and up to three ``examples``.
    """

    cells: int
    contents: int
    unread: int
    left_out: int
    reasons: dict[str, dict[str, Any]]


def gather_rejects(
    rows: Relation,
    unread: Relation | None,
    unencoded: Relation | None,
    groups: Sequence[Sequence[DeepFeature]],
    columns: Columns,
) -> Relation:
    """Collect the rejects of a run, one for each cell of a new row that has no vector for it.

    Workers encode each distinct content once and so reject it once; here every row that holds
    it gets its reject. Cells that could not be read are rejects only of rows that are new: those
    of old rows are on record already.

    Parameters
    ----------
    rows : Relation
        The new rows.
    unread, unencoded : Relation
        What workers rejected while reading and, with a column ``hash``, while encoding.
    groups : sequence of sequence of DeepFeature
        Features that share their vectors.
    columns : Columns

    Returns
    -------
    Relation
        The columns of a row, ``column``, ``feature``, ``reason``, ``message``, ``hash``; sorted.
    """
    parts = []
    if unread is not None:
        told = f'{columns.key}, "column", feature, reason, message, null::blob as hash'
        same = " and ".join(f"bad.{quoted(name)} = fresh.{quoted(name)}" for name in columns.row)
        parts.append(unread.filter("feature = ''").project(told))
        known = unread.filter("feature <> ''").set_alias("bad")
        parts.append(known.join(rows.set_alias("fresh"), same, how="semi").project(told))
    for features in groups if unencoded is not None else []:
        assert unencoded is not None
        names = ", ".join(text(feature.name) for feature in features)
        bad = unencoded.filter(f"feature in ({names})").aggregate(
            f"hash as {BAD}, min(reason) as reason, min(message) as message", "hash"
        )
        for feature in features:
            found = rows.join(bad, f"{quoted(feature.hash_column)} = {BAD}")
            parts.append(
                found.project(
                    f'{columns.key}, {text(feature.column)} as "column", '
                    f"{text(feature.name)} as feature, reason, message, {BAD} as hash"
                )
            )
    every = functools.reduce(lambda one, other: one.union(other), parts)
    return every.order(f'{columns.key}, "column", feature, reason, message, hash')


def tell(rejects: Relation, keys: Sequence[str]) -> Found:
    """Count rejects, and by reason, with three examples each."""
    reasons = {}
    for reason, count in rejects.aggregate("reason, count(*)").order("reason").fetchall():
        few = rejects.filter(f"reason = {text(reason)}").limit(3).to_arrow_table().to_pylist()
        reasons[reason] = {"count": count, "examples": [_example(row, keys) for row in few]}
    counts = (
        "count(*), count(distinct hash), count(*) - count(hash), count(*) filter (feature = '')"
    )
    cells, contents, unread, left_out = rejects.aggregate(counts).fetchall()[0]
    return Found(cells, contents, unread - left_out, left_out, reasons)


def _example(reject: dict[str, Any], keys: Sequence[str]) -> str:
    where = ", ".join(f"{key}={reject[key]}" for key in keys)
    column = f", column {reject['column']!r}" if reject["feature"] else ""
    return f"{where}{column}: {reject['message']}"


def judge(view: str, found: Found, contents: int, rows: int, allowed: float) -> None:
    """Stop a run that rejects too much; one reject alone never does, unless none is allowed.

    Rows that were left out are in the source every night, however few rows are new; so they are
    a share of its rows, and not of the new ones.

    Parameters
    ----------
    view : str
    found : Found
    contents : int
        Contents of the new rows. Cells that could not be read are not among them.
    rows : int
        Rows of the source.
    allowed : float
        The largest share that may be rejected.

    Raises
    ------
    TooManyRejects
        If more than the allowed share was rejected.
    """
    shares = (
        (found.left_out, rows, "rows of the source"),
        (found.cells - found.left_out, contents + found.unread, "contents"),
    )
    for bad, of, what in shares:
        share = bad / max(1, of)
        if share <= allowed or (bad == 1 and allowed):
            continue
        worst = max(found.reasons, key=lambda reason: found.reasons[reason]["count"])
        raise TooManyRejects(
            f"{bad} of {of} {what} of view {view!r} were rejected "
            f"({share:.1%}, allowed {allowed:.1%}); most often {worst}: "
            f"{found.reasons[worst]['examples'][0]}. Nothing was committed. Mend the source, or "
            f"allow more with --allowed-rejects."
        )
