"""Writing a file so that whoever finds it under its name finds all of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path to write to, and rename it to the one wanted once all is written.

    Where the writing fails nothing of that name appears, and a file that was there stays as it
    was; where the process is killed a ``.tmp`` is left beside it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with whole(path) as aside:
    ...     _ = aside.write_text("red")
    ...     path.exists()
    False
    >>> path.read_text()
    'red'
    """
    aside = path.with_name(f"{path.name}.tmp")
    try:
        yield aside
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
