"""What the driver has rewritten on its own disk, put where every worker sees it: in the bucket."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deepfeast.transforms.files.bucket import Place
from deepfeast.transforms.files.place import on_arrow
from deepfeast.transforms.files.slices import Slice, Source


def carried(source: Source, folder: Path, target: Place) -> Source:
    """Have the slices of files in a folder read from copies of them.

    Parameters
    ----------
    source : Source
    folder : Path
        On this disk: where a CSV, or the rows of a warehouse, were rewritten.
    target : Path or BucketPath
        For the copies. On a disk the files stay where they are.
    """
    if isinstance(target, Path):
        return source
    moved = {}
    for path in dict.fromkeys(part.path for part in source.slices):
        if Path(path).is_relative_to(folder):
            copy = target / Path(path).name
            copy.write_bytes(Path(path))
            moved[path] = on_arrow(copy)

    def move(part: Slice) -> Slice:
        if part.path not in moved:
            return part
        filesystem, path = moved[part.path]
        return replace(part, path=path, origin=replace(part.origin, filesystem=filesystem))

    return replace(source, slices=tuple(map(move, source.slices)))
