"""The page `docs/benchmarks.md`, written from the JSON of the runs. Not a benchmark.

A ratio is judged by its spread: the better one is named only where every round says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _chosen import Chosen

TEMPLATE = Path(__file__).with_name("page.md.jinja")


def write_page(kept: Mapping[str, Any], chosen: Sequence[Chosen], page: Path) -> None:
    """Write the page of what was kept; a benchmark that was never run is said to be missing.

    Parameters
    ----------
    kept : mapping
        ``machine``, in words, and ``benchmarks`` by name: each with ``date``, ``seconds``,
        ``processor_seconds``, ``command``, and ``result``, its RESULT line, or ``failed``, why
        there is none.
    """
    import jinja2

    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    parts = [part(one, kept["benchmarks"].get(one.name)) for one in chosen]
    worse = [
        {"title": one["title"], "anchor": anchor(one["title"]), **row}
        for one in parts
        for row in one["rows"]
        if row["better"] == "**the peer**"
    ]
    ran = [entry for entry in kept["benchmarks"].values() if "result" in entry]
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        machine=kept["machine"],
        parts=parts,
        worse=worse,
        troubled=[one for one in parts if one["trouble"]],
        versions=versions(ran),
        dates=sorted({entry["date"] for entry in kept["benchmarks"].values()}),
        minutes=round(sum(entry["seconds"] for entry in kept["benchmarks"].values()) / 60),
    )
    page.write_text(text.rstrip() + "\n", encoding="utf-8")


def part(chosen: Chosen, entry: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the template says of one benchmark."""
    result = (entry or {}).get("result")
    trouble = ""
    if entry is None:
        trouble = "has not been run"
    elif result is None:
        trouble = f"failed: {entry['failed']}"
    elif not result["agree"]:
        trouble = "**the results disagree**, so that the times mean nothing"
    return {
        "title": chosen.title,
        "question": chosen.question,
        "theirs": chosen.theirs,
        "command": (entry or {}).get("command", ""),
        "seconds": round((entry or {}).get("seconds", 0)),
        "processor_seconds": round((entry or {}).get("processor_seconds", 0)),
        "trouble": trouble,
        "data": result["data"] if result else "",
        "rows": rows(chosen, result) if result else [],
    }


def rows(chosen: Chosen, result: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the ratios that are shown: the peer, the ratio, its spread and who is better."""
    spreads = result.get("spread", {})
    found = []
    for name, peer in chosen.rows.items():
        if (ratio := result["ratios"].get(name)) is None:
            continue  # no Redis here, or no real listings
        low, high = spreads.get(name, (ratio, ratio))
        found.append(
            {
                "peer": peer,
                "ratio": number(ratio),
                "spread": f"{number(low)} to {number(high)}" if name in spreads else "one figure",
                "better": better(ratio, low, high) if result["agree"] else "unknown",
            }
        )
    return found


def better(ratio: float, low: float, high: float) -> str:
    """Name the better one, where the whole spread lies on its side.

    >>> better(1.2, 1.1, 1.3), better(0.9, 0.8, 0.95), better(1.1, 0.9, 1.3)
    ('deepfeast', '**the peer**', 'no clear difference')
    """
    if min(ratio, low) > 1:
        return "deepfeast"
    if max(ratio, high) < 1:
        return "**the peer**"
    return "no clear difference"


def number(ratio: float) -> str:
    """Write a ratio with two or three telling digits.

    >>> number(75.32), number(3.149), number(0.987)
    ('75', '3.15', '0.99')
    """
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def anchor(title: str) -> str:
    """Return where the site has a heading.

    >>> anchor("Features beside labels, as of their time")
    'features-beside-labels-as-of-their-time'
    """
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


def versions(ran: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the versions of everything that ran, by name; several where runs differ."""
    found: dict[str, set[str]] = {}
    for entry in ran:
        for name, version in entry["result"].get("versions", {}).items():
            found.setdefault(name, set()).add(version)
    return {name: ", ".join(sorted(found[name])) for name in sorted(found)}
