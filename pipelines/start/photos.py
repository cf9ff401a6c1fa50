"""What a column of photos looks like: how its cells name them, and where they lie."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa

from deepfeast.pipelines.start.convert import parts_of

_KINDS = r"\.(jpe?g|png|webp|gif|bmp|tiff?|avif|jp2)"
IMAGE = re.compile(rf"{_KINDS}([?#]\S*)?$", re.IGNORECASE)
ANOTHER = re.compile(rf"{_KINDS}['\"]?\s*[;|,\s]\s*\S", re.IGNORECASE)
NAMED = re.compile(r"photo|image|img|picture|thumb|foto|bild|cover|avatar", re.IGNORECASE)
MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"\0\0\0")
SEPARATORS = ("", "json", ";", "|", ",", "\n", " ")
LOOKED_AT, FOLDERS = 100, 300


@dataclass(frozen=True)
class PhotoColumn:
    """How a column holds photos.

    Attributes
    ----------
    where : {"bytes", "path", "url", "data"}
    separator : str
        Between several photos of a cell, as in `parts_of`; "" where there is one.
    several : bool
        Whether a cell may hold several.
    root : Path, optional
        The folder that paths are relative to.
    hosts : tuple of str
        Hosts that the URLs name.
    looked, found : int
        Paths that were looked for, and those that are there.
    example : str
        One that is not there.
    """

    where: str
    separator: str = ""
    several: bool = False
    root: Path | None = None
    hosts: tuple[str, ...] = ()
    looked: int = 0
    found: int = 0
    example: str = ""


def photo_column(
    cells: pa.ChunkedArray, name: str, folder: Path, root: Path | None = None
) -> PhotoColumn | None:
    """Find out whether a column holds photos, and how.

    Parameters
    ----------
    cells : ChunkedArray of length n_seen
    name : str
        Of the column: one called photo may hold addresses that do not end as photos do.
    folder : Path
        Of the table: paths are looked for below it.
    root : Path, optional
        Where to look instead.
    """
    kind = cells.type
    if pa.types.is_struct(kind) and {"bytes", "path"} <= {f.name for f in kind}:
        return PhotoColumn("bytes") if pa.types.is_binary(kind.field("bytes").type) else None
    several = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    inner = kind.value_type if several else kind
    known = cells.drop_null().slice(0, 10 * LOOKED_AT).to_pylist()[: 3 * LOOKED_AT]
    if pa.types.is_binary(inner) or pa.types.is_large_binary(inner):
        flat = [one for cell in known for one in (cell if several else [cell]) if one]
        images = sum(one.startswith(MAGIC) for one in flat)
        return PhotoColumn("bytes", several=several) if images > len(flat) / 2 else None
    if not pa.types.is_string(inner) or not known:
        return None
    if several:
        cut = [[str(one) for one in cell if one] for cell in known]
        return _of_parts(cut, "", True, folder, root) if _share(cut, name) >= 0.8 else None
    for separator in SEPARATORS:
        cut = [parts_of(cell, separator) for cell in known]
        if _share(cut, name) >= 0.8:
            return _of_parts(cut, separator, bool(separator), folder, root)
    return None


def _share(cells: Sequence[Sequence[str]], name: str) -> float:
    """Return the share of cells all of whose parts look like photos."""
    told = [all(_looks_so(part, name) for part in cell) for cell in cells if cell]
    return sum(told) / len(told) if told else 0.0


def _looks_so(part: str, name: str) -> bool:
    if part.lower().startswith("data:image/"):
        return True
    if ANOTHER.search(part):
        return False
    if part.lower().startswith(("http://", "https://")):
        return not re.search(r"\s", part) and bool(IMAGE.search(part) or NAMED.search(name))
    return len(part) < 500 and "\n" not in part and bool(IMAGE.search(part))


def _of_parts(
    cells: Sequence[Sequence[str]],
    separator: str,
    several: bool,
    folder: Path,
    root: Path | None,
) -> PhotoColumn:
    parts = [part for cell in cells for part in cell]
    urls = [part for part in parts if part.lower().startswith(("http://", "https://"))]
    if len(urls) > len(parts) / 2:
        hosts = sorted({(urlsplit(url).hostname or "").lower() for url in urls} - {""})
        return PhotoColumn("url", separator, several, hosts=tuple(hosts))
    if parts[0].lower().startswith("data:"):
        # A comma stands within each of them.
        return PhotoColumn("data", "" if separator == "," else separator, several)
    return _on_disk(parts[:LOOKED_AT], separator, several, folder, root)


def _on_disk(
    parts: Sequence[str], separator: str, several: bool, folder: Path, root: Path | None
) -> PhotoColumn:
    """Look for the folder that paths are relative to: the one below which most are found."""
    parts = list(dict.fromkeys(parts))
    if root is not None:
        roots = [root]
    elif all(Path(part).is_absolute() for part in parts):
        there = [part for part in parts if Path(part).is_file()]
        roots = [Path(os.path.commonpath([Path(part).parent for part in there or parts]))]
    else:
        roots = [folder, *_below(folder)]
    best, most = roots[0], -1
    for candidate in roots:
        found = sum((candidate / part).is_file() for part in parts)
        if found > most:
            best, most = candidate, found
        if found == len(parts):
            break
    lacking = next((part for part in parts if not (best / part).is_file()), "")
    return PhotoColumn(
        "path", separator, several, best.resolve(), (), len(parts), most, example=lacking
    )


def _below(folder: Path) -> list[Path]:
    """List folders at most two levels below a folder; a few, where there are many."""
    found: list[Path] = []
    for parent in (folder, *_children(folder)):
        found += _children(parent)
        if len(found) > FOLDERS:
            break
    return found[:FOLDERS]


def _children(folder: Path) -> list[Path]:
    try:
        listed = sorted(os.scandir(folder), key=lambda entry: entry.name)
        names = [
            entry.name for entry in listed if not entry.name.startswith(".") and entry.is_dir()
        ]
    except OSError:
        return []
    return [folder / name for name in names[:FOLDERS]]
